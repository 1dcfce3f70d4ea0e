import { describe, expect, it } from 'vitest'
import { checkForward, formatForward, forwardKey, isSameForward, type Forward } from './forward.ts'

const web: Forward = { protocol: 'tcp', address: '::1', port: 8080, containerAddress: '172.17.0.2', containerPort: 80 }

describe('a forward', () => {
  it('has one spelling', () => {
    const spelled = { ...web, address: '0:0::0001', containerAddress: 'FD00:0::2', count: 1 }

    expect(checkForward(spelled)).toEqual({ ...web, containerAddress: 'fd00::2' })
  })

  it.each([
    [{}, 'tcp [::1]:8080 to 172.17.0.2:80'],
    [{ address: '0.0.0.0', count: 3 }, 'tcp 0.0.0.0:8080-8082 to 172.17.0.2:80-82'],
  ])('is told of in words: %j', (changes, expected) => {
    expect(formatForward({ ...web, ...changes })).toBe(expected)
  })

  it.each([
    [{ address: 'localhost' }, 'address: expected an IPv4 or IPv6 address'],
    [{ containerAddress: '10.0.0' }, 'containerAddress: expected an IPv4 or IPv6 address'],
    [{ containerPort: 0 }, 'containerPort'],
    [{ port: 65_536 }, 'port'],
    [{ port: 1.5 }, 'port'],
    [{ protocol: 'icmp' }, 'protocol'],
    [{ port: 65_000, count: 537 }, 'count: expected ports up to 65535'],
    [{ containerPort: 65_535, count: 2 }, 'count: expected ports up to 65535'],
    [{ port: 0, count: 2 }, 'count'],
    [{ hostname: 'x' }, ''],
  ])('is refused with %j', (changes, problem) => {
    expect(() => checkForward({ ...web, ...(changes as object) })).toThrow(
      expect.objectContaining({
        code: 'ERR_INVALID_FORWARD',
        message: expect.stringContaining(problem) as string,
      }) as Error,
    )
  })

  it('is another when it leads elsewhere, at the same place', () => {
    const elsewhere = { ...web, containerPort: 81 }

    expect(forwardKey(elsewhere)).toBe(forwardKey(web))
    expect([isSameForward(web, elsewhere), isSameForward(web, { ...web }), isSameForward(web, undefined)]).toEqual([
      false,
      true,
      false,
    ])
  })
})
