import { expect, it } from 'vitest'
import { explainRefusal } from './refusal.ts'

const failed = { missing: false, message: 'unshare: unshare failed: Operation not permitted' }

it('names the package of a missing unshare', () => {
  expect(explainRefusal({ missing: true, message: '' }, () => undefined)).toBe(
    'the program "unshare" is missing: install util-linux',
  )
})

it.each([
  ['kernel/unprivileged_userns_clone', '0', 'sysctl -w kernel.unprivileged_userns_clone=1'],
  ['user/max_user_namespaces', '0', 'sysctl -w user.max_user_namespaces=10000'],
  ['kernel/apparmor_restrict_unprivileged_userns', '1', 'sysctl -w kernel.apparmor_restrict_unprivileged_userns=0'],
])('names the setting %s = %s, and how to change it', (path, value, remedy) => {
  const message = explainRefusal(failed, (asked) => (asked === path ? value : undefined))

  expect(message).toBe(
    `user namespaces are off (/proc/sys/${path} is ${value}): run the demo as root, or as root: ${remedy}`,
  )
})

it('says what unshare said where no setting is to blame', () => {
  const message = explainRefusal(failed, () => undefined)

  expect(message).toContain('Operation not permitted')
  expect(message).toContain('CAP_SYS_ADMIN')
})
