import { execFileSync } from 'node:child_process'
import { afterEach, expect, it } from 'vitest'
import {
  addChain,
  addElements,
  addRule,
  addSet,
  addTable,
  deleteChain,
  deleteElements,
  deleteRule,
  deleteSet,
  deleteTable,
  nftExpression,
  NftablesSocket,
  type BaseChain,
  type ChainReference,
  type NftElement,
  type NftExpression,
  type NftSet,
  type TableReference,
} from '../src/index.ts'
import { protocolNumbers } from '@net/types'
import { describeKernel, enterFreshHost, nftRuleset } from '../src/testing/index.ts'

await enterFreshHost()

const { and, cmp, counter, ct, fibType, hostNumber, load, lookup, masquerade, meta, nat, payload, verdict } =
  nftExpression

let count = 0
/** Each test finds a host without rules. */
afterEach(() => {
  using nftables = NftablesSocket.open()
  nftables.commit(nftables.listTables().map(deleteTable))
})

/** A table of its own for each test, and a socket to fill it. */
function freshTable(): { nftables: NftablesSocket; table: TableReference } {
  const nftables = NftablesSocket.open()
  const table: TableReference = { family: 'inet', name: `table${count++}` }
  nftables.commit([addTable(table)])
  return { nftables, table }
}

type Kind = 'table' | 'chain' | 'rule' | 'set' | 'map'
type Shown = Readonly<Record<string, unknown>>

/** What `nft` shows of one kind of thing in a table. */
function shown(kind: Kind, table: TableReference): Shown[] {
  const { nftables } = nftRuleset() as { nftables: readonly Partial<Record<Kind, Shown>>[] }
  return nftables.flatMap((entry) => {
    const found = entry[kind]
    return found !== undefined && (kind === 'table' ? found.name : found.table) === table.name ? [found] : []
  })
}

/** What `nft` shows of the expressions of a rule that is put into a chain of its own. */
function shownRule(nftables: NftablesSocket, chain: ChainReference, expressions: readonly NftExpression[]): unknown {
  nftables.commit([addRule({ chain, expressions })])
  return shown('rule', chain.table).at(-1)?.expr
}

const natChain = (hook: 'prerouting' | 'postrouting'): BaseChain => ({
  type: 'nat',
  hook,
  priority: hook === 'prerouting' ? -100 : 100,
  policy: 'accept',
})

/** A refusal by the kernel. */
const refusal = (errno: number, message?: RegExp): Error =>
  expect.objectContaining({
    code: 'ERR_NETLINK',
    errno,
    ...(message === undefined ? {} : { message: expect.stringMatching(message) as unknown }),
  }) as Error

const ENOENT = 2
const EEXIST = 17
const EBUSY = 16
const ERESTART = 85

const port = (at: number): NftElement => ({
  key: [6, at],
  data: [`10.0.${at >> 8}.${at & 255}`, at],
})

describeKernel('tables', () => {
  it('bear their comment, in each family', () => {
    using nftables = NftablesSocket.open()

    for (const family of ['inet', 'ip', 'ip6'] as const) {
      nftables.commit([addTable({ family, name: `commented-${family}`, comment: 'owner Brücke' })])
    }

    for (const family of ['inet', 'ip', 'ip6'] as const) {
      const table = { family, name: `commented-${family}` }
      const [asShown] = shown('table', table)
      expect(asShown).toMatchObject({ family, name: table.name })
      expect(nftables.findTable(table)).toMatchObject({
        ...table,
        handle: BigInt(asShown?.handle as number),
        comment: 'owner Brücke',
        dormant: false,
      })
      const listing = execFileSync('nft', ['list', 'table', family, table.name], { encoding: 'utf8' })
      expect(listing).toContain('comment "owner Brücke"')
    }
  })

  it('can be dormant', () => {
    using nftables = NftablesSocket.open()
    const table = { family: 'inet', name: 'dormant' } as const

    nftables.commit([addTable({ ...table, dormant: true })])

    expect(nftables.findTable(table)).toMatchObject({ dormant: true, comment: undefined, userdata: undefined })
    const listing = execFileSync('nft', ['list', 'table', 'inet', 'dormant'], { encoding: 'utf8' })
    expect(listing).toContain('flags dormant')
  })

  it('are refused where the name is taken, and the one that is there stays as it is', () => {
    const { nftables, table } = freshTable()
    nftables.commit([addChain({ table, name: 'kept' })])

    const again = (): void => {
      nftables.commit([addTable(table)])
    }

    expect(again).toThrow(refusal(EEXIST, new RegExp(`NFT_MSG_NEWTABLE inet ${table.name}: EEXIST`)))
    expect(shown('chain', table)).toMatchObject([{ name: 'kept' }])
  })

  it('go with all that is in them', () => {
    const { nftables, table } = freshTable()
    const chain = { table, name: 'one' }
    const set: NftSet = { table, name: 'addresses', key: ['ipv4_addr'] }
    nftables.commit([
      addSet(set),
      addChain(chain),
      addRule({ chain, expressions: [payload('ip saddr'), lookup('addresses'), verdict('drop')] }),
      ...addElements(set, [{ key: ['10.0.0.1'] }]),
    ])

    nftables.commit([deleteTable(table)])

    expect(shown('table', table)).toEqual([])
    expect(nftables.findTable(table)).toBeUndefined()
    expect(nftables.listTables().map(({ name }) => name)).not.toContain(table.name)
    expect(() => {
      nftables.commit([deleteTable(table)])
    }).toThrow(refusal(ENOENT))
  })

  it('are told apart by their family', () => {
    using nftables = NftablesSocket.open()
    const four = { family: 'ip', name: 'twin' } as const
    const six = { family: 'ip6', name: 'twin' } as const
    nftables.commit([addTable(four), addTable(six), addChain({ table: six, name: 'only-six' })])

    expect(nftables.listChains(four)).toEqual([])
    expect(nftables.listChains(six)).toMatchObject([{ table: six, name: 'only-six' }])
    expect(nftables.listTables()).toEqual(expect.arrayContaining([expect.objectContaining(four)]))
    expect(nftables.listTables()).toEqual(expect.arrayContaining([expect.objectContaining(six)]))
  })
})

describeKernel('chains', () => {
  it('have the hook, priority and policy that they are given', () => {
    const { nftables, table } = freshTable()
    const bases: Readonly<Record<string, BaseChain>> = {
      raw: { type: 'filter', hook: 'prerouting', priority: -300, policy: 'accept' },
      input: { type: 'filter', hook: 'input', priority: 10, policy: 'drop' },
      forward: { type: 'filter', hook: 'forward', priority: 0, policy: 'drop' },
      output: { type: 'route', hook: 'output', priority: -150, policy: 'accept' },
      post: { type: 'nat', hook: 'postrouting', priority: 100, policy: 'accept' },
    }

    nftables.commit(Object.entries(bases).map(([name, base]) => addChain({ table, name, base })))

    const asShown = shown('chain', table)
    const listed = nftables.listChains(table)
    expect(asShown).toMatchObject(
      Object.entries(bases).map(([name, { type, hook, priority, policy }]) => ({
        name,
        type,
        hook,
        prio: priority,
        policy,
      })),
    )
    expect(listed).toMatchObject(Object.entries(bases).map(([name, base]) => ({ table, name, base })))
    expect(listed.map(({ handle }) => Number(handle))).toEqual(asShown.map(({ handle }) => handle))
  })

  it('without a base are those that only jumps lead to, and bear a comment', () => {
    const { nftables, table } = freshTable()

    nftables.commit([addChain({ table, name: 'regular', comment: 'published ports' })])

    const [chain] = shown('chain', table)
    expect(chain).toMatchObject({ name: 'regular' })
    expect(chain).not.toHaveProperty('hook')
    expect(nftables.listChains(table)).toMatchObject([
      { name: 'regular', base: undefined, comment: 'published ports', handle: BigInt(chain?.handle as number) },
    ])
  })

  it('stay while something jumps to them', () => {
    const { nftables, table } = freshTable()
    const [from, to] = [
      { table, name: 'from' },
      { table, name: 'to' },
    ]
    nftables.commit([addChain(from), addChain(to), addRule({ chain: from, expressions: [verdict('jump to')] })])
    const [rule] = nftables.listRules(table)

    expect(() => {
      nftables.commit([deleteChain(to)])
    }).toThrow(refusal(EBUSY))
    if (rule !== undefined) nftables.commit([deleteRule(rule), deleteChain(to)])

    expect(shown('chain', table)).toMatchObject([{ name: 'from' }])
    expect(() => {
      nftables.commit([deleteChain(to)])
    }).toThrow(refusal(ENOENT))
  })
})

describeKernel('rules', () => {
  it('ask for the state of a connection', () => {
    const { nftables, table } = freshTable()
    const chain = { table, name: 'one' }
    nftables.commit([addChain(chain)])

    const rule = shownRule(nftables, chain, [
      ct('state'),
      and(hostNumber(2 | 4)),
      cmp('neq', hostNumber(0)),
      verdict('accept'),
    ])

    expect(rule).toMatchObject([
      { match: { left: { ct: { key: 'state' } }, right: ['established', 'related'] } },
      { accept: null },
    ])
  })

  it('ask for the group of an interface, and for the family', () => {
    const { nftables, table } = freshTable()
    const chain = { table, name: 'asked' }
    const families: NftSet = { table, name: 'families', key: ['nf_proto'] }
    nftables.commit([
      addChain(chain),
      addSet(families),
      ...addElements(families, [{ key: ['ipv4'] }, { key: ['ipv6'] }]),
    ])

    nftables.commit([
      addRule({
        chain,
        expressions: [meta('iifgroup'), cmp('eq', hostNumber(7)), meta('oifgroup'), cmp('neq', hostNumber(0))],
      }),
      addRule({ chain, expressions: [meta('nfproto'), lookup('families'), verdict('drop')] }),
    ])

    const listing = execFileSync('nft', ['list', 'chain', 'inet', table.name, 'asked'], { encoding: 'utf8' })
    expect(listing).toContain('iifgroup 7 oifgroup != "default"')
    expect(listing).toContain('meta nfproto @families drop')
    expect(shown('set', table)).toMatchObject([{ elem: ['ipv4', 'ipv6'] }])
    expect(
      nftables
        .listElements(families)
        .map(({ key }) => key[0])
        .sort(),
    ).toEqual(['ipv4', 'ipv6'])
  })

  it('compare interface names, marks and protocols', () => {
    const { nftables, table } = freshTable()
    const chain = { table, name: 'one' }
    nftables.commit([addChain(chain)])
    const name = Uint8Array.from(Buffer.from('br-one'.padEnd(16, '\0')))

    const rule = shownRule(nftables, chain, [
      meta('iifname'),
      cmp('eq', name),
      meta('oifname'),
      cmp('neq', name),
      meta('mark'),
      cmp('eq', hostNumber(0x1234)),
      meta('l4proto'),
      cmp('eq', Uint8Array.of(17)),
      counter(),
      verdict('drop'),
    ])

    expect(rule).toMatchObject([
      { match: { op: '==', left: { meta: { key: 'iifname' } }, right: 'br-one' } },
      { match: { op: '!=', left: { meta: { key: 'oifname' } }, right: 'br-one' } },
      { match: { op: '==', left: { meta: { key: 'mark' } }, right: 0x1234 } },
      { match: { op: '==', left: { meta: { key: 'l4proto' } } } },
      { counter: { packets: 0, bytes: 0 } },
      { drop: null },
    ])
  })

  it('compare addresses, parts of addresses and ports', () => {
    const { nftables, table } = freshTable()
    const chain = { table, name: 'one' }
    nftables.commit([addChain(chain)])
    const four = [meta('nfproto'), cmp('eq', Uint8Array.of(2))]
    const tcp = [meta('l4proto'), cmp('eq', Uint8Array.of(6))]

    expect(
      shownRule(nftables, chain, [
        ...four,
        payload('ip saddr'),
        cmp('eq', Uint8Array.of(10, 0, 0, 1)),
        payload('ip daddr', 0, 1),
        cmp('eq', Uint8Array.of(127)),
      ]),
    ).toMatchObject([
      { match: { left: { payload: { protocol: 'ip', field: 'saddr' } }, right: '10.0.0.1' } },
      {
        match: {
          left: { payload: { protocol: 'ip', field: 'daddr' } },
          right: { prefix: { addr: '127.0.0.0', len: 8 } },
        },
      },
    ])
    expect(
      shownRule(nftables, chain, [
        ...four,
        payload('ip daddr'),
        and(Uint8Array.of(255, 240, 0, 0)),
        cmp('eq', Uint8Array.of(172, 16, 0, 0)),
      ]),
    ).toMatchObject([
      {
        match: {
          left: { payload: { protocol: 'ip', field: 'daddr' } },
          right: { prefix: { addr: '172.16.0.0', len: 12 } },
        },
      },
    ])
    expect(
      shownRule(nftables, chain, [
        ...tcp,
        payload('th sport'),
        cmp('gte', Uint8Array.of(4, 0)),
        payload('th dport'),
        cmp('eq', Uint8Array.of(0, 80)),
      ]),
    ).toMatchObject([
      { match: { op: '>=', left: { payload: { protocol: 'tcp', field: 'sport' } }, right: 1024 } },
      { match: { op: '==', left: { payload: { protocol: 'tcp', field: 'dport' } }, right: 80 } },
    ])
  })

  it.each(['tcp', 'udp'] as const)('write a port into the packets of %s', (protocol) => {
    const { nftables, table } = freshTable()
    const chain = { table, name: 'rewritten' }
    nftables.commit([addChain(chain)])
    const number = Uint8Array.of(protocolNumbers[protocol])

    expect(
      shownRule(nftables, chain, [
        ...[meta('l4proto'), cmp('eq', number)],
        ...[load(Uint8Array.of(0x14, 0xe9)), nftExpression.setPort(protocol, 'th dport')],
        ...[load(Uint8Array.of(0, 53)), nftExpression.setPort(protocol, 'th sport')],
      ]),
    ).toMatchObject([
      { mangle: { key: { payload: { protocol, field: 'dport' } }, value: 5353 } },
      { mangle: { key: { payload: { protocol, field: 'sport' } }, value: 53 } },
    ])
  })

  it('look up in sets, and take the verdict of a map', () => {
    const { nftables, table } = freshTable()
    const chain = { table, name: 'one' }
    nftables.commit([
      addChain(chain),
      addSet({ table, name: 'bridges', key: ['ifname'] }),
      addSet({ table, name: 'intra', key: ['ifname', 'ifname'], data: 'verdict' }),
    ])

    expect(shownRule(nftables, chain, [meta('iifname'), lookup('bridges'), verdict('return')])).toMatchObject([
      { match: { op: '==', left: { meta: { key: 'iifname' } }, right: '@bridges' } },
      { return: null },
    ])
    expect(shownRule(nftables, chain, [meta('oifname'), lookup('bridges', { inverted: true })])).toMatchObject([
      { match: { op: '!=', left: { meta: { key: 'oifname' } }, right: '@bridges' } },
    ])
    expect(
      shownRule(nftables, chain, [meta('iifname'), meta('oifname', 4), lookup('intra', { into: 'verdict' })]),
    ).toMatchObject([
      { vmap: { key: { concat: [{ meta: { key: 'iifname' } }, { meta: { key: 'oifname' } }] }, data: '@intra' } },
    ])
  })

  it('ask the routes whether an address is of this host', () => {
    const { nftables, table } = freshTable()
    const chain = { table, name: 'one', base: natChain('prerouting') }
    nftables.commit([addChain(chain), addChain({ table, name: 'published' })])

    const rule = shownRule(nftables, chain, [fibType('daddr'), cmp('eq', hostNumber(2)), verdict('jump published')])

    expect(rule).toMatchObject([
      { match: { op: '==', left: { fib: { result: 'type', flags: ['daddr'] } }, right: 'local' } },
      { jump: { target: 'published' } },
    ])
  })

  it('rewrite the destination to what a concatenated map leads to', () => {
    const { nftables, table } = freshTable()
    const chain = { table, name: 'one', base: natChain('prerouting') }
    nftables.commit([
      addChain(chain),
      addSet({ table, name: 'ports', key: ['inet_proto', 'inet_service'], data: ['ipv4_addr', 'inet_service'] }),
    ])

    const rule = shownRule(nftables, chain, [
      meta('nfproto'),
      cmp('eq', Uint8Array.of(2)),
      meta('l4proto'),
      payload('th dport', 1),
      lookup('ports', { into: 0 }),
      nat('dnat', { family: 4, addressSlot: 0, portSlot: 1 }),
    ])

    expect(rule).toEqual(
      expect.arrayContaining([
        {
          dnat: {
            family: 'ip',
            addr: {
              map: {
                key: { concat: [{ meta: { key: 'l4proto' } }, { payload: { protocol: 'th', field: 'dport' } }] },
                data: '@ports',
              },
            },
          },
        },
      ]),
    )
  })

  it('rewrite the source to an address of theirs, or to that of the interface', () => {
    const { nftables, table } = freshTable()
    const chain = { table, name: 'one', base: natChain('postrouting') }
    nftables.commit([addChain(chain)])

    expect(
      shownRule(nftables, chain, [
        load(Uint8Array.of(192, 0, 2, 1)),
        load(Uint8Array.of(0x1f, 0x90), 1),
        meta('l4proto', 2),
        cmp('eq', Uint8Array.of(6), 2),
        nat('snat', { family: 4, addressSlot: 0, portSlot: 1 }),
      ]),
    ).toEqual(expect.arrayContaining([{ snat: { family: 'ip', addr: '192.0.2.1', port: 8080 } }]))
    expect(shownRule(nftables, chain, [masquerade()])).toEqual([{ masquerade: null }])
  })

  it('are read back as they were written, in their order, with comments', () => {
    const { nftables, table } = freshTable()
    const chain = { table, name: 'one' }
    const other = { table, name: 'other' }
    const first: NftExpression[] = [
      meta('iifname'),
      lookup('bridges', { inverted: true }),
      payload('ip6 daddr', 1),
      and(new Uint8Array(16).fill(255), 1),
      cmp('lt', new Uint8Array(16), 1),
      ct('status', 6),
      fibType('saddr', 7),
      load(Uint8Array.of(1, 2, 3, 4), 8),
      verdict('goto other'),
    ]
    const second: NftExpression[] = [verdict('continue')]

    nftables.commit([
      addSet({ table, name: 'bridges', key: ['ifname'] }),
      addChain(chain),
      addChain(other),
      addRule({ chain, expressions: first, comment: 'from outside' }),
      addRule({ chain, expressions: second }),
      addRule({ chain: other, expressions: [] }),
    ])

    const rules = nftables.listRules(table)
    expect(rules).toMatchObject([
      { chain, comment: 'from outside' },
      { chain, comment: undefined, expressions: second },
      { chain: other, expressions: [] },
    ])
    expect(rules[0]?.expressions).toEqual(first)
    const asShown = shown('rule', table)
    expect(asShown).toMatchObject([{ chain: 'one', comment: 'from outside' }, { chain: 'one' }, { chain: 'other' }])
    expect(asShown.map(({ handle }) => handle)).toEqual(rules.map(({ handle }) => Number(handle)))
  })

  it('of other sorts, which nft made, are read as far as they are known', () => {
    const { nftables, table } = freshTable()
    execFileSync('nft', ['add', 'chain', 'inet', table.name, 'foreign'])
    execFileSync('nft', [
      'add',
      'rule',
      'inet',
      table.name,
      'foreign',
      'tcp',
      'dport',
      '80',
      'limit rate 1/second',
      'accept',
    ])

    const [rule] = nftables.listRules(table)

    expect(rule?.expressions).toContain(undefined)
    expect(rule?.expressions.at(-1)).toEqual(verdict('accept'))
  })

  it('are deleted by their handle', () => {
    const { nftables, table } = freshTable()
    const chain = { table, name: 'one' }
    nftables.commit([
      addChain(chain),
      addRule({ chain, expressions: [verdict('accept')], comment: 'first' }),
      addRule({ chain, expressions: [verdict('drop')], comment: 'second' }),
    ])
    const handle = nftables.listRules(table)[0]?.handle ?? 0n

    nftables.commit([deleteRule({ chain, handle })])

    expect(shown('rule', table)).toMatchObject([{ comment: 'second' }])
    expect(() => {
      nftables.commit([deleteRule({ chain, handle })])
    }).toThrow(refusal(ENOENT))
  })

  it('that jump to a chain which is not there are refused', () => {
    const { nftables, table } = freshTable()
    const chain = { table, name: 'one' }
    nftables.commit([addChain(chain)])

    expect(() => {
      nftables.commit([addRule({ chain, expressions: [verdict('jump nowhere')] })])
    }).toThrow(refusal(ENOENT, /NFT_MSG_NEWRULE inet table\d+ one \(immediate\): ENOENT/))
  })
})

describeKernel('sets', () => {
  it.each([
    ['ipv4_addr', '10.0.0.1'],
    ['ipv6_addr', 'fd00::1'],
    ['inet_service', 80],
    ['mark', 0x01020304],
    ['ifname', 'br-one'],
  ] as const)('of type %s hold %s as nft prints it', (type, value) => {
    const { nftables, table } = freshTable()
    const set: NftSet = { table, name: 'one', key: [type], comment: 'of one type' }

    nftables.commit([addSet(set), ...addElements(set, [{ key: [value] }])])

    expect(shown('set', table)).toMatchObject([{ name: 'one', type, elem: [value], comment: 'of one type' }])
    expect(nftables.listElements(set)).toEqual([{ key: [value], isIntervalEnd: false }])
  })

  it('of protocols hold their numbers', () => {
    const { nftables, table } = freshTable()
    const set: NftSet = { table, name: 'one', key: ['inet_proto'] }

    nftables.commit([addSet(set), ...addElements(set, [{ key: [6] }])])

    // nft says a name where the machine has /etc/protocols.
    expect([['tcp'], [6]]).toContainEqual(shown('set', table)[0]?.elem)
    expect(nftables.listElements(set)).toEqual([{ key: [6], isIntervalEnd: false }])
  })

  it('lead from concatenations to concatenations', () => {
    const { nftables, table } = freshTable()
    const map: NftSet = {
      table,
      name: 'ports',
      key: ['ipv6_addr', 'mark', 'inet_service'],
      data: ['ipv6_addr', 'inet_service'],
      comment: 'published',
    }
    const element: NftElement = { key: ['fd00::1', 5, 8080], data: ['fd00::2', 80], comment: 'web' }

    nftables.commit([addSet(map), ...addElements(map, [element])])

    expect(shown('map', table)).toMatchObject([
      {
        name: 'ports',
        type: ['ipv6_addr', 'mark', 'inet_service'],
        comment: 'published',
        elem: [[{ elem: { val: { concat: ['fd00::1', 5, 8080] }, comment: 'web' } }, { concat: ['fd00::2', 80] }]],
      },
    ])
    expect(nftables.listElements(map)).toEqual([{ ...element, isIntervalEnd: false }])
  })

  it('lead to a number that nft prints the right way round', () => {
    const { nftables, table } = freshTable()
    const marks: NftSet = { table, name: 'marks', key: ['inet_service'], data: ['mark'] }

    nftables.commit([addSet(marks), ...addElements(marks, [{ key: [80], data: [0x10] }])])

    expect(shown('map', table)).toMatchObject([{ type: 'inet_service', map: 'mark', elem: [[80, 0x10]] }])
  })

  it('lead to verdicts', () => {
    const { nftables, table } = freshTable()
    const map: NftSet = { table, name: 'verdicts', key: ['ifname'], data: 'verdict' }
    const verdicts = {
      accepted: 'accept',
      dropped: 'drop',
      returned: 'return',
      continued: 'continue',
      jumped: 'jump target',
      gone: 'goto target',
    } as const
    const elements = Object.entries(verdicts).map(([name, data]) => ({ key: [name], data }))

    nftables.commit([addChain({ table, name: 'target' }), addSet(map), ...addElements(map, elements)])

    const [asShown] = shown('map', table)
    expect(asShown).toMatchObject({ type: 'ifname', map: 'verdict' })
    expect(asShown?.elem).toHaveLength(6)
    expect(asShown?.elem).toEqual(
      expect.arrayContaining([
        ['accepted', { accept: null }],
        ['dropped', { drop: null }],
        ['returned', { return: null }],
        ['continued', { continue: null }],
        ['jumped', { jump: { target: 'target' } }],
        ['gone', { goto: { target: 'target' } }],
      ]),
    )
    const listed = nftables.listElements(map)
    expect(listed).toHaveLength(6)
    expect(listed).toEqual(expect.arrayContaining(elements.map((one) => ({ ...one, isIntervalEnd: false }))))
  })

  it('of intervals hold ranges up to the last number there is, neighbours and single values', () => {
    const { nftables, table } = freshTable()
    const set: NftSet = { table, name: 'ranges', key: ['inet_service'], interval: true }

    nftables.commit([
      addSet(set),
      ...addElements(set, [
        { key: [80], keyEnd: [89] },
        { key: [90], keyEnd: [99] },
        { key: [443] },
        { key: [65_000], keyEnd: [65_535] },
      ]),
    ])

    expect(shown('set', table)).toMatchObject([
      {
        flags: ['interval'],
        elem: [{ range: [80, 89] }, { range: [90, 99] }, 443, { range: [65_000, 65_535] }],
      },
    ])
    expect(nftables.listSets(table)).toMatchObject([{ isInterval: true, isMap: false }])
    const listed = nftables
      .listElements(set)
      .map(({ key, isIntervalEnd }) => `${key.join()}${isIntervalEnd ? ' end' : ''}`)
    expect(listed.sort()).toEqual(['100 end', '443', '444 end', '65000', '80', '90', '90 end'])
  })

  it('of intervals over whole networks carry into the next byte', () => {
    const { nftables, table } = freshTable()
    const set: NftSet = { table, name: 'networks', key: ['ipv4_addr'], interval: true }

    nftables.commit([addSet(set), ...addElements(set, [{ key: ['10.1.0.0'], keyEnd: ['10.1.255.255'] }])])

    expect(shown('set', table)).toMatchObject([{ elem: [{ prefix: { addr: '10.1.0.0', len: 16 } }] }])
    nftables.commit(deleteElements(set, [{ key: ['10.1.0.0'], keyEnd: ['10.1.255.255'] }]))
    expect(nftables.listElements(set)).toEqual([])
  })

  it('of intervals in several parts hold ranges of each', () => {
    const { nftables, table } = freshTable()
    const map: NftSet = {
      table,
      name: 'ranges',
      key: ['ipv4_addr', 'inet_service'],
      data: ['ipv4_addr'],
      interval: true,
    }
    const range: NftElement = { key: ['10.0.0.0', 80], keyEnd: ['10.0.0.255', 90], data: ['192.0.2.1'] }
    const single: NftElement = { key: ['10.0.1.7', 443], data: ['192.0.2.2'] }

    nftables.commit([addSet(map), ...addElements(map, [range, single])])

    const [asShown] = shown('map', table)
    expect(asShown).toMatchObject({ flags: ['interval'], type: ['ipv4_addr', 'inet_service'] })
    expect(asShown?.elem).toHaveLength(2)
    expect(asShown?.elem).toEqual(
      expect.arrayContaining([
        [{ concat: [{ prefix: { addr: '10.0.0.0', len: 24 } }, { range: [80, 90] }] }, '192.0.2.1'],
        [{ concat: ['10.0.1.7', 443] }, '192.0.2.2'],
      ]),
    )
    expect(nftables.listElements(map)).toContainEqual({ ...range, isIntervalEnd: false })

    nftables.commit(deleteElements(map, [range]))
    expect(nftables.listElements(map)).toMatchObject([{ key: single.key, data: single.data }])
  })

  it('are listed as nft lists them', () => {
    const { nftables, table } = freshTable()
    nftables.commit([
      addSet({ table, name: 'ports', key: ['inet_service'], comment: 'a set' }),
      addSet({ table, name: 'verdicts', key: ['ifname'], data: 'verdict' }),
    ])

    const listed = nftables.listSets(table)

    expect(listed).toMatchObject([
      { table, name: 'ports', isMap: false, isInterval: false, keyLength: 2, comment: 'a set' },
      { table, name: 'verdicts', isMap: true, isInterval: false, keyLength: 16, comment: undefined },
    ])
    expect(listed.map(({ handle }) => Number(handle))).toEqual(
      [...shown('set', table), ...shown('map', table)].map(({ handle }) => handle),
    )
  })

  it('stay while a rule looks into them', () => {
    const { nftables, table } = freshTable()
    const chain = { table, name: 'one' }
    const set: NftSet = { table, name: 'ports', key: ['inet_service'] }
    nftables.commit([
      addSet(set),
      addChain(chain),
      addRule({ chain, expressions: [payload('th dport'), lookup('ports')] }),
    ])
    const [rule] = nftables.listRules(table)

    expect(() => {
      nftables.commit([deleteSet(set)])
    }).toThrow(refusal(EBUSY))
    if (rule !== undefined) nftables.commit([deleteRule(rule), deleteSet(set)])

    expect(nftables.listSets(table)).toEqual([])
    expect(() => nftables.listElements(set)).toThrow(refusal(ENOENT))
  })
})

describeKernel('elements', () => {
  it('are added and deleted one by one', () => {
    const { nftables, table } = freshTable()
    const set: NftSet = { table, name: 'ports', key: ['inet_service'] }
    nftables.commit([addSet(set), ...addElements(set, [{ key: [80] }, { key: [443] }])])

    nftables.commit(deleteElements(set, [{ key: [80] }]))

    expect(shown('set', table)).toMatchObject([{ elem: [443] }])
  })

  it('that are there already are refused, whatever they lead to', () => {
    const { nftables, table } = freshTable()
    const map: NftSet = { table, name: 'ports', key: ['inet_service'], data: ['ipv4_addr'] }
    nftables.commit([addSet(map), ...addElements(map, [{ key: [80], data: ['10.0.0.1'] }])])

    for (const address of ['10.0.0.1', '10.0.0.2']) {
      expect(() => {
        nftables.commit(
          addElements(map, [
            { key: [81], data: [address] },
            { key: [80], data: [address] },
          ]),
        )
      }).toThrow(refusal(EEXIST, /NFT_MSG_NEWSETELEM inet table\d+ ports \(2 elements\): EEXIST/))
    }

    expect(nftables.listElements(map)).toEqual([{ key: [80], data: ['10.0.0.1'], isIntervalEnd: false }])
  })

  it('that are not there cannot be deleted, and those that are stay', () => {
    const { nftables, table } = freshTable()
    const set: NftSet = { table, name: 'ports', key: ['inet_service'] }
    nftables.commit([addSet(set), ...addElements(set, [{ key: [80] }])])

    expect(() => {
      nftables.commit(deleteElements(set, [{ key: [80] }, { key: [81] }]))
    }).toThrow(refusal(ENOENT))

    expect(nftables.listElements(set)).toMatchObject([{ key: [80] }])
  })

  it('give way to others of the same key in one batch', () => {
    const { nftables, table } = freshTable()
    const map: NftSet = { table, name: 'ports', key: ['inet_service'], data: ['ipv4_addr'] }
    nftables.commit([addSet(map), ...addElements(map, [{ key: [80], data: ['10.0.0.1'] }])])

    nftables.commit([...deleteElements(map, [{ key: [80] }]), ...addElements(map, [{ key: [80], data: ['10.0.0.2'] }])])

    expect(shown('map', table)).toMatchObject([{ elem: [[80, '10.0.0.2']] }])
  })

  it('of ten thousand go into the kernel in one commit and come back whole at once', () => {
    const { nftables, table } = freshTable()
    const map: NftSet = {
      table,
      name: 'ports',
      key: ['inet_proto', 'inet_service'],
      data: ['ipv4_addr', 'inet_service'],
    }
    const elements = Array.from({ length: 10_000 }, (_, at) => port(at + 1))
    const messages = addElements(map, elements)

    nftables.commit([addSet(map), ...messages])

    expect(messages.length).toBeGreaterThan(1)
    // The kernel goes on growing the hash table after the commit.
    const listed = nftables.listElements(map)
    expect([listed.length, new Set(listed.map(({ key }) => key[1])).size]).toEqual([10_000, 10_000])
    expect(nftables.listElements(map)).toContainEqual({ ...port(9_999), isIntervalEnd: false })
    const text = execFileSync('nft', ['-j', 'list', 'map', 'inet', table.name, 'ports'], {
      encoding: 'utf8',
      maxBuffer: 64 * 1024 * 1024,
    })
    const { nftables: said } = JSON.parse(text) as { nftables: readonly { map?: { elem: readonly unknown[] } }[] }
    expect(said.flatMap((entry) => entry.map?.elem ?? [])).toHaveLength(10_000)

    nftables.commit(deleteElements(map, elements))
    expect(nftables.listElements(map)).toEqual([])
  })
})

describeKernel('what is not there yet', () => {
  it('is refused: keys of six types, intervals of marks', () => {
    const table = { family: 'inet', name: 'none' } as const
    const six = Array.from({ length: 6 }, () => 'mark' as const)

    expect(() => addSet({ table, name: 'six', key: six })).toThrow('expected 1 to 5 types')
    expect(() => addSet({ table, name: 'marks', key: ['ifname', 'mark'], interval: true })).toThrow('other than mark')
  })

  it('is said to be where another program made it: an element for all other keys', () => {
    const { nftables, table } = freshTable()
    const set: NftSet = { table, name: 'others', key: ['ipv4_addr'] }
    const elements = '{ type ipv4_addr; elements = { 10.0.0.1, * }; }'
    execFileSync('nft', ['add', 'set', 'inet', table.name, 'others', elements])

    expect(() => nftables.listElements(set)).toThrow(/^catch-all element of inet .* others is not implemented yet$/)
  })
})

describeKernel('a batch', () => {
  it('whose last message is refused leaves nothing, and the error is that refusal', () => {
    using nftables = NftablesSocket.open()
    const table = { family: 'inet', name: 'nothing' } as const
    const set: NftSet = { table, name: 'ports', key: ['inet_service'] }

    expect(() => {
      nftables.commit([
        addTable(table),
        addSet(set),
        ...addElements(set, [{ key: [80] }]),
        deleteChain({ table, name: 'missing' }),
      ])
    }).toThrow(refusal(ENOENT, /^NFT_MSG_DELCHAIN inet nothing missing: ENOENT/))

    expect(nftables.findTable(table)).toBeUndefined()
    expect(shown('table', table)).toEqual([])
  })

  it('with several refusals throws the first, and the socket serves on', () => {
    const { nftables, table } = freshTable()

    expect(() => {
      nftables.commit([
        addChain({ table, name: 'one' }),
        addTable(table),
        deleteSet({ table, name: 'missing' }),
        deleteChain({ table, name: 'missing' }),
      ])
    }).toThrow(refusal(EEXIST, /^NFT_MSG_NEWTABLE/))

    expect(nftables.listChains(table)).toEqual([])
    nftables.commit([addChain({ table, name: 'two' })])
    expect(nftables.listChains(table)).toMatchObject([{ name: 'two' }])
  })

  it('larger than the buffer is refused, and nothing of it was sent', () => {
    const { nftables: other, table } = freshTable()
    using nftables = NftablesSocket.open({ bufferBytes: 8 * 1024 })
    const set: NftSet = { table, name: 'ports', key: ['inet_service'] }
    const elements = Array.from({ length: 5_000 }, (_, at) => ({ key: [at + 1] }))
    const before = other.generation()

    expect(() => {
      nftables.commit([addSet(set), ...addElements(set, elements)])
    }).toThrow(expect.objectContaining({ code: 'ERR_BATCH_TOO_LARGE', kind: 'bad-request' }) as Error)

    expect(other.generation()).toBe(before)
    expect(nftables.listSets(table)).toEqual([])
    nftables.commit([addSet(set), ...addElements(set, elements.slice(0, 10))])
    expect(nftables.listElements(set)).toHaveLength(10)
  })

  it('of nothing asks nothing of the kernel', () => {
    using nftables = NftablesSocket.open()
    const before = nftables.generation()

    nftables.commit([])

    expect(nftables.generation()).toBe(before)
  })

  it('bound to a generation is refused once any rule has changed', () => {
    const { nftables, table } = freshTable()
    const generation = nftables.generation()
    nftables.commit([addChain({ table, name: 'first' })], { generation })

    expect(() => {
      nftables.commit([addChain({ table, name: 'second' })], { generation })
    }).toThrow(expect.objectContaining({ code: 'ERR_NETLINK', kind: 'retry', errno: ERESTART }) as Error)

    expect(nftables.generation()).not.toBe(generation)
    expect(nftables.listChains(table)).toMatchObject([{ name: 'first' }])
    nftables.commit([addChain({ table, name: 'second' })], { generation: nftables.generation() })
    expect(nftables.listChains(table)).toHaveLength(2)
  })

  it('on a closed socket is refused', () => {
    const nftables = NftablesSocket.open()
    nftables.close()
    nftables.close()

    expect(() => {
      nftables.commit([addTable({ family: 'inet', name: 'never' })])
    }).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }) as Error)
  })
})
