import { describe, expect, it } from 'vitest'
import { encodedOnce, writeMessage, type NetlinkMessage } from '../message.ts'
import { Writer } from '../writer.ts'
import { addChain, deleteChain, listChains } from './chain.ts'
import { addElements, deleteElements, listElements } from './element.ts'
import { nftExpression, type NftExpression } from './expressions.ts'
import { batchBegin, batchEnd, type TableReference } from './nfnetlink.ts'
import { addRule, deleteRule, listRules } from './rule.ts'
import { addSet, deleteSet, listSets, type NftSet } from './set.ts'
import { addTable, deleteTable, getTable, listTables } from './table.ts'

const { and, cmp, counter, ct, fibType, load, lookup, masquerade, meta, nat, payload, verdict } = nftExpression

const table: TableReference = { family: 'inet', name: 'net' }
const chain = { table, name: 'one' }
const ports: NftSet = {
  table,
  name: 'ports',
  key: ['inet_proto', 'inet_service'],
  data: ['ipv4_addr', 'inet_service'],
}
const verdicts: NftSet = { table, name: 'to', key: ['ifname'], data: 'verdict' }
const ranges: NftSet = { table, name: 'r', key: ['inet_service'], interval: true }
const wide: NftSet = { table, name: 'w', key: ['ipv4_addr', 'inet_service'], interval: true }

const rule = (...expressions: NftExpression[]): NetlinkMessage => addRule({ chain, expressions })

/** The seventh message of a socket, in hexadecimal. */
function hex(message: NetlinkMessage): string {
  const writer = new Writer()
  writeMessage(writer, message, 0, 7)
  return Buffer.from(writer.written()).toString('hex')
}

// Headers are little-endian here, as on the machines that run these tests; brackets are nested attributes.
describe('a message', () => {
  it.each<[string, NetlinkMessage | NetlinkMessage[], string, string]>([
    ['begins a batch', batchBegin([]), '14000000 1000 0100 07000000 00000000 0000000a', ''],
    [
      'begins a batch bound to a generation',
      batchBegin([], 5),
      '1c000000 1000 0100 07000000 00000000 0000000a',
      '0800 0100 00000005',
    ],
    ['ends a batch', batchEnd, '14000000 1100 0100 07000000 00000000 0000000a', ''],
    [
      'adds a table',
      addTable({ ...table, comment: 'me', dormant: true }),
      '30000000 000a 0106 07000000 00000000 01000000',
      '0800 0100 6e657400 0800 0200 00000001 0900 0600 00036d6500000000',
    ],
    ['deletes a table', deleteTable(table), '1c000000 020a 0100 07000000 00000000 01000000', '0800 0100 6e657400'],
    ['asks for a table', getTable(table), '1c000000 010a 0100 07000000 00000000 01000000', '0800 0100 6e657400'],
    ['asks for tables', listTables, '14000000 010a 0100 07000000 00000000 00000000', ''],
    [
      'adds a base chain',
      addChain({ ...chain, base: { type: 'nat', hook: 'prerouting', priority: -100, policy: 'accept' } }),
      '48000000 030a 0106 07000000 00000000 01000000',
      '0800 0100 6e657400 0800 0300 6f6e6500 1400 0480 [ 0800 0100 00000000 0800 0200 ffffff9c ] 0800 0500 00000001 0800 0700 6e617400',
    ],
    [
      'adds a regular chain',
      addChain({ ...chain, comment: 'c' }),
      '2c000000 030a 0106 07000000 00000000 01000000',
      '0800 0100 6e657400 0800 0300 6f6e6500 0800 0c00 00026300',
    ],
    [
      'deletes a chain',
      deleteChain(chain),
      '24000000 050a 0100 07000000 00000000 01000000',
      '0800 0100 6e657400 0800 0300 6f6e6500',
    ],
    ['asks for chains', listChains, '14000000 040a 0100 07000000 00000000 00000000', ''],
    [
      'adds a rule that loads what is known of a packet',
      rule(meta('iifname')),
      '4c000000 060a 010c 07000000 00000000 01000000',
      '0800 0100 6e657400 0800 0200 6f6e6500 2800 0480 [ 2400 0180 [ 0900 0100 6d65746100000000 1400 0280 [ 0800 0200 00000006 0800 0100 00000001 ] ] ]',
    ],
    [
      'adds a rule that loads a field',
      rule(payload('th dport', 1)),
      '5c000000 060a 010c 07000000 00000000 01000000',
      '0800 0100 6e657400 0800 0200 6f6e6500 3800 0480 [ 3400 0180 [ 0c00 0100 7061796c6f616400 2400 0280 [ 0800 0100 00000009 0800 0200 00000002 0800 0300 00000002 0800 0400 00000002 ] ] ]',
    ],
    [
      'adds a rule that loads the state of a connection',
      rule(ct('state')),
      '48000000 060a 010c 07000000 00000000 01000000',
      '0800 0100 6e657400 0800 0200 6f6e6500 2400 0480 [ 2000 0180 [ 0700 0100 63740000 1400 0280 [ 0800 0200 00000000 0800 0100 00000001 ] ] ]',
    ],
    [
      'adds a rule that asks the routes',
      rule(fibType('daddr')),
      '50000000 060a 010c 07000000 00000000 01000000',
      '0800 0100 6e657400 0800 0200 6f6e6500 2c00 0480 [ 2800 0180 [ 0800 0100 66696200 1c00 0280 [ 0800 0100 00000001 0800 0200 00000003 0800 0300 00000002 ] ] ]',
    ],
    [
      'adds a rule that compares',
      rule(cmp('neq', Uint8Array.of(0, 80))),
      '54000000 060a 010c 07000000 00000000 01000000',
      '0800 0100 6e657400 0800 0200 6f6e6500 3000 0480 [ 2c00 0180 [ 0800 0100 636d7000 2000 0280 [ 0800 0100 00000001 0800 0200 00000001 0c00 0380 [ 0600 0100 00500000 ] ] ] ]',
    ],
    [
      'adds a rule that masks',
      rule(and(Uint8Array.of(255, 0))),
      '6c000000 060a 010c 07000000 00000000 01000000',
      '0800 0100 6e657400 0800 0200 6f6e6500 4800 0480 [ 4400 0180 [ 0c00 0100 6269747769736500 3400 0280 [ 0800 0100 00000001 0800 0200 00000001 0800 0300 00000002 0c00 0480 [ 0600 0100 ff000000 ] 0c00 0580 [ 0600 0100 00000000 ] ] ] ]',
    ],
    [
      'adds a rule that looks up',
      rule(lookup('s')),
      '4c000000 060a 010c 07000000 00000000 01000000',
      '0800 0100 6e657400 0800 0200 6f6e6500 2800 0480 [ 2400 0180 [ 0b00 0100 6c6f6f6b75700000 1400 0280 [ 0600 0100 73000000 0800 0200 00000001 ] ] ]',
    ],
    [
      'adds a rule that looks up what must not be there',
      rule(lookup('s', { inverted: true, from: 5 })),
      '54000000 060a 010c 07000000 00000000 01000000',
      '0800 0100 6e657400 0800 0200 6f6e6500 3000 0480 [ 2c00 0180 [ 0b00 0100 6c6f6f6b75700000 1c00 0280 [ 0600 0100 73000000 0800 0200 0000000d 0800 0500 00000001 ] ] ]',
    ],
    [
      'adds a rule that takes a verdict of a map',
      rule(lookup('s', { into: 'verdict' })),
      '54000000 060a 010c 07000000 00000000 01000000',
      '0800 0100 6e657400 0800 0200 6f6e6500 3000 0480 [ 2c00 0180 [ 0b00 0100 6c6f6f6b75700000 1c00 0280 [ 0600 0100 73000000 0800 0200 00000001 0800 0300 00000000 ] ] ]',
    ],
    [
      'adds a rule that jumps',
      rule(verdict('jump to')),
      '60000000 060a 010c 07000000 00000000 01000000',
      '0800 0100 6e657400 0800 0200 6f6e6500 3c00 0480 [ 3800 0180 [ 0e00 0100 696d6d656469617465000000 2400 0280 [ 0800 0100 00000000 1800 0280 [ 1400 0280 [ 0800 0100 fffffffd 0700 0200 746f0000 ] ] ] ] ]',
    ],
    [
      'adds a rule that loads bytes',
      rule(load(Uint8Array.of(10, 0, 0, 1), 4)),
      '54000000 060a 010c 07000000 00000000 01000000',
      '0800 0100 6e657400 0800 0200 6f6e6500 3000 0480 [ 2c00 0180 [ 0e00 0100 696d6d656469617465000000 1800 0280 [ 0800 0100 00000002 0c00 0280 [ 0800 0100 0a000001 ] ] ] ]',
    ],
    [
      'adds a rule that rewrites the destination',
      rule(nat('dnat', { family: 4, addressSlot: 0, portSlot: 1 })),
      '58000000 060a 010c 07000000 00000000 01000000',
      '0800 0100 6e657400 0800 0200 6f6e6500 3400 0480 [ 3000 0180 [ 0800 0100 6e617400 2400 0280 [ 0800 0100 00000001 0800 0200 00000002 0800 0300 00000001 0800 0500 00000009 ] ] ]',
    ],
    [
      'adds a rule that masquerades',
      rule(masquerade()),
      '3c000000 060a 010c 07000000 00000000 01000000',
      '0800 0100 6e657400 0800 0200 6f6e6500 1800 0480 [ 1400 0180 [ 0900 0100 6d61737100000000 0400 0280 [ ] ] ]',
    ],
    [
      'adds a rule that counts',
      rule(counter()),
      '54000000 060a 010c 07000000 00000000 01000000',
      '0800 0100 6e657400 0800 0200 6f6e6500 3000 0480 [ 2c00 0180 [ 0c00 0100 636f756e74657200 1c00 0280 [ 0c00 0100 0000000000000000 0c00 0200 0000000000000000 ] ] ]',
    ],
    [
      'deletes a rule',
      deleteRule({ chain, handle: 3n }),
      '30000000 080a 0100 07000000 00000000 01000000',
      '0800 0100 6e657400 0800 0200 6f6e6500 0c00 0300 0000000000000003',
    ],
    ['asks for rules', listRules(table), '1c000000 070a 0100 07000000 00000000 01000000', '0800 0100 6e657400'],
    [
      'adds a map of concatenations',
      addSet(ports),
      '68000000 090a 0106 07000000 00000000 01000000',
      '0800 0100 6e657400 0a00 0200 706f727473000000 0800 0300 00000008 0800 0400 0000030d 0800 0500 00000008 0800 0600 000001cd 0800 0700 00000008 0800 0a00 00000001 1000 0d00 000400000000010400000000',
    ],
    [
      'adds a map to verdicts',
      addSet(verdicts),
      '58000000 090a 0106 07000000 00000000 01000000',
      '0800 0100 6e657400 0700 0200 746f0000 0800 0300 00000008 0800 0400 00000029 0800 0500 00000010 0800 0600 ffffff00 0800 0a00 00000001 0a00 0d00 0004010000000000',
    ],
    [
      'adds a set of intervals',
      addSet({ ...ranges, comment: 'c' }),
      '54000000 090a 0106 07000000 00000000 01000000',
      '0800 0100 6e657400 0600 0200 72000000 0800 0300 00000004 0800 0400 0000000d 0800 0500 00000002 0800 0a00 00000001 0e00 0d00 000402000000070263000000',
    ],
    [
      'adds a set of intervals in two parts',
      addSet(wide),
      '70000000 090a 0106 07000000 00000000 01000000',
      '0800 0100 6e657400 0600 0200 77000000 0800 0300 00000084 0800 0400 000001cd 0800 0500 00000008 2000 0980 [ 1c00 0280 [ 0c00 0180 [ 0800 0100 00000004 ] 0c00 0180 [ 0800 0100 00000002 ] ] ] 0800 0a00 00000001 0a00 0d00 0004000000000000',
    ],
    [
      'deletes a set',
      deleteSet(ports),
      '28000000 0b0a 0100 07000000 00000000 01000000',
      '0800 0100 6e657400 0a00 0200 706f727473000000',
    ],
    ['asks for sets', listSets(table), '1c000000 0a0a 0100 07000000 00000000 01000000', '0800 0100 6e657400'],
    [
      'adds an element to a map of concatenations',
      addElements(ports, [{ key: [6, 80], data: ['10.0.0.2', 8080] }]),
      '50000000 0c0a 0106 07000000 00000000 01000000',
      '0800 0100 6e657400 0a00 0200 706f727473000000 2800 0380 [ 2400 0180 [ 1000 0180 [ 0c00 0100 0600000000500000 ] 1000 0280 [ 0c00 0100 0a0000021f900000 ] ] ]',
    ],
    [
      'adds an element to a map to verdicts',
      addElements(verdicts, [{ key: ['br0'], data: 'drop', comment: 'c' }]),
      '5c000000 0c0a 0106 07000000 00000000 01000000',
      '0800 0100 6e657400 0700 0200 746f0000 3800 0380 [ 3400 0180 [ 1800 0180 [ 1400 0100 62723000000000000000000000000000 ] 1000 0280 [ 0c00 0280 [ 0800 0100 00000000 ] ] 0800 0600 00026300 ] ]',
    ],
    [
      'adds a range',
      addElements(ranges, [{ key: [80], keyEnd: [89] }]),
      '50000000 0c0a 0106 07000000 00000000 01000000',
      '0800 0100 6e657400 0600 0200 72000000 2c00 0380 [ 1000 0180 [ 0c00 0180 [ 0600 0100 00500000 ] ] 1800 0180 [ 0c00 0180 [ 0600 0100 005a0000 ] 0800 0300 00000001 ] ]',
    ],
    [
      'adds a range in two parts',
      addElements(wide, [{ key: ['10.0.0.0', 80], keyEnd: ['10.0.0.255', 90] }]),
      '4c000000 0c0a 0106 07000000 00000000 01000000',
      '0800 0100 6e657400 0600 0200 77000000 2800 0380 [ 2400 0180 [ 1000 0180 [ 0c00 0100 0a00000000500000 ] 1000 0a80 [ 0c00 0100 0a0000ff005a0000 ] ] ]',
    ],
    [
      'deletes an element by its key alone',
      deleteElements(ports, [{ key: [6, 80], data: ['10.0.0.2', 8080] }]),
      '40000000 0e0a 0100 07000000 00000000 01000000',
      '0800 0100 6e657400 0a00 0200 706f727473000000 1800 0380 [ 1400 0180 [ 1000 0180 [ 0c00 0100 0600000000500000 ] ] ]',
    ],
    [
      'asks for elements',
      listElements(ports),
      '28000000 0d0a 0100 07000000 00000000 01000000',
      '0800 0100 6e657400 0a00 0200 706f727473000000',
    ],
  ])('that %s has the bytes that the kernel wants', (_, messages, header, body) => {
    expect([messages].flat().map(hex)).toEqual([`${header}${body}`.replaceAll(/[ [\]]/g, '')])
  })

  it('says in words what it is about', () => {
    const element = { key: [6, 80], data: ['10.0.0.2', 8080] }

    expect(addTable(table).describe()).toBe('NFT_MSG_NEWTABLE inet net')
    expect(rule(meta('mark'), verdict('drop')).describe()).toBe('NFT_MSG_NEWRULE inet net one (meta, immediate)')
    expect(addElements(ports, [element])[0]?.describe()).toBe('NFT_MSG_NEWSETELEM inet net ports (1 element)')
    expect(batchBegin([addTable(table)]).describe()).toBe(
      'nftables batch of 1 beginning with NFT_MSG_NEWTABLE inet net',
    )
  })
})

describe('elements', () => {
  it('of nothing are no message', () => {
    expect(addElements(ports, [])).toEqual([])
  })

  it.each<[string, NftSet, { key: (string | number)[]; data?: (string | number)[] }]>([
    ['a port beyond 65535', ranges, { key: [65_536] }],
    ['a port that is no whole number', ranges, { key: [1.5] }],
    ['a port in words', ranges, { key: ['80'] }],
    ['an address of the other family', wide, { key: ['fd00::1', 80] }],
    ['a key of too few parts', wide, { key: ['10.0.0.1'] }],
    ['data of too few parts', ports, { key: [6, 80], data: ['10.0.0.1'] }],
    ['an interface name of 16 bytes', verdicts, { key: ['sixteen-bytes-xx'] }],
  ])('with %s are refused', (_, set, element) => {
    expect(() => addElements(set, [element])).toThrow(
      expect.objectContaining({ code: 'ERR_VALUE_OUT_OF_RANGE', kind: 'bad-request' }) as Error,
    )
  })
})

describe('comments', () => {
  it.each([
    ['longer than the kernel keeps', 'x'.repeat(254)],
    ['with a zero byte', 'a\0b'],
  ])('%s are refused', (_, comment) => {
    expect(() => addTable({ ...table, comment })).toThrow(
      expect.objectContaining({ code: 'ERR_VALUE_OUT_OF_RANGE' }) as Error,
    )
  })
})

it('a message encoded once is the same every time, wherever it stands', () => {
  const message = addTable({ family: 'ip', name: 'blue', comment: 'kept' })
  const once = encodedOnce(message)
  const bytesOf = (one: NetlinkMessage, before: number): Uint8Array => {
    const writer = new Writer()
    writer.bytes(new Uint8Array(before))
    one.write(writer)
    return writer.written().slice(before)
  }

  expect([bytesOf(once, 0), bytesOf(once, 16), bytesOf(once, 4)]).toEqual(Array(3).fill(bytesOf(message, 0)))
  expect(once).toMatchObject({ type: message.type, flags: message.flags })
  expect(once.describe()).toBe(message.describe())
})
