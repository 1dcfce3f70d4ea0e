import type { FirewallFact } from '@net/driverapi'
import { expect, it } from 'vitest'
import { FactBook } from './index.ts'

const port = (hostPort: number, containerAddress: string): FirewallFact => ({
  ...{ kind: 'port', protocol: 'tcp', hostPort, containerAddress, containerPort: 80 },
})

it('takes facts that go together, and of others none', () => {
  const book = new FactBook()
  book.add([port(80, '10.0.0.2')])

  expect(() => {
    book.add([port(81, '10.0.0.3'), port(80, '10.0.0.3')])
  }).toThrow(expect.objectContaining({ code: 'ERR_PORT_PUBLISHED' }) as Error)
  expect(() => {
    book.add([port(81, '10.0.0.4')])
  }).not.toThrow()
})
