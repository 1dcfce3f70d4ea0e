import { constants } from 'node:os'
import { NetlinkError } from '@net/netlink-ffi'
import { describe, expect, it } from 'vitest'
import { explainRefusal } from './explain.ts'

const { EACCES, EEXIST, EINVAL, EOPNOTSUPP, EPERM } = constants.errno
/** asm-generic/errno.h; Node does not name it. */
const EXFULL = 54

const refusal = (errno: number): NetlinkError => new NetlinkError('RTM_NEWLINK veth veth0', errno)
const veth = { name: 'veth0', kind: 'veth', master: 'br0' }

describe('a refusal to make a link', () => {
  it.each([
    [EEXIST, 'ERR_INTERFACE_EXISTS', 'forbidden', 'interface veth0 exists already'],
    [EPERM, 'ERR_NOT_PERMITTED', 'forbidden', expect.stringContaining('not permitted to create link veth0')],
    [EACCES, 'ERR_NOT_PERMITTED', 'forbidden', expect.stringContaining('CAP_NET_ADMIN')],
    [EOPNOTSUPP, 'ERR_UNSUPPORTED_KERNEL', 'not-implemented', 'this kernel lacks links of kind veth'],
    [EXFULL, 'ERR_BRIDGE_FULL', 'no-service', 'bridge br0 is full: it takes at most 1023 ports'],
  ] as const)('with errno %i is %s', (errno, code, kind, message: unknown) => {
    const cause = refusal(errno)

    expect(explainRefusal(cause, veth)).toMatchObject({ code, kind, message, cause })
  })

  it('of another sort stays what it is', () => {
    for (const cause of [refusal(EINVAL), new Error('something else')]) expect(explainRefusal(cause, veth)).toBe(cause)
    const full = refusal(EXFULL)
    expect(explainRefusal(full, { name: 'br1', kind: 'bridge' })).toBe(full)
  })
})
