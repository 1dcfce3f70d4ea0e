import { expect, it } from 'vitest'
import { describeAccess } from './linger.ts'

const published = { web: 32768, echo: 32769 }

it.each([
  [{ kind: 'machine' } as const, ''],
  [{ kind: 'throw-away', pid: 7, userNamespace: false } as const, 'nsenter --target 7 --mount --net '],
  [
    { kind: 'throw-away', pid: 7, userNamespace: true } as const,
    'nsenter --target 7 --user --preserve-credentials --mount --net ',
  ],
])('says how to look inside: %j', (access, enter) => {
  expect(describeAccess(access, '/run/net/a/b', published).slice(1)).toEqual([
    `  ${enter}nsenter --net=/run/net/a/b ip addr`,
    `  ${enter}curl http://198.51.100.1:32768/`,
  ])
})
