import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterEach, expect, it } from 'vitest'
import {
  addElements,
  addSet,
  addTable,
  countDescriptors,
  deleteElements,
  deleteTable,
  NftablesSocket,
  watchRules,
  type NftSet,
  type RuleEvent,
  type TableReference,
} from '../src/index.ts'
import { describeKernel, enterFreshHost, SystemCallFaults } from '../src/testing/index.ts'

await enterFreshHost()

const table: TableReference = { family: 'inet', name: 'watched' }
const set: NftSet = { table, name: 'ports', key: ['inet_service'] }

afterEach(() => {
  using nftables = NftablesSocket.open()
  nftables.commit(nftables.listTables().map(deleteTable))
})

/** What was heard so far, and a way to wait for more. */
function listen(options?: { readonly except: number }): {
  readonly events: RuleEvent[]
  next(): Promise<RuleEvent>
} & Disposable {
  const events: RuleEvent[] = []
  let wake: (() => void) | undefined
  const watch = watchRules((event) => {
    events.push(event)
    wake?.()
  }, options)
  const next = async (): Promise<RuleEvent> => {
    if (events.length === 0) await new Promise<void>((resolve) => (wake = resolve))
    return events.shift()!
  }
  return {
    events,
    next,
    [Symbol.dispose]: () => {
      watch.close()
    },
  }
}

describeKernel('watching rules', () => {
  it('tells what a commit did, alike changes counted together, and whose it was', async () => {
    using heard = listen()

    const nft = spawn('nft', [
      'add table inet watched; add set inet watched ports { type inet_service; elements = { 80, 81, 82 }; };' +
        'add chain inet watched one; add rule inet watched one accept',
    ])
    await once(nft, 'exit')

    const added = (subject: string, name: string, count = 1): unknown => ({
      ...{ kind: 'added', subject, table, name, count },
    })
    using nftables = NftablesSocket.open()
    expect(await heard.next()).toEqual({
      kind: 'commit',
      generation: nftables.generation(),
      by: { pid: nft.pid, program: 'nft' },
      changes: [
        added('table', ''),
        added('set', 'ports'),
        added('element', 'ports', 3),
        added('chain', 'one'),
        added('rule', 'one'),
      ],
    })
  })

  it('tells of a table that goes with all that is in it', async () => {
    using nftables = NftablesSocket.open()
    nftables.commit([addTable(table), addSet(set), ...addElements(set, [{ key: [80] }])])
    using heard = listen()

    execFileSync('nft', ['flush', 'ruleset'])

    expect(await heard.next()).toMatchObject({
      changes: [
        { kind: 'deleted', subject: 'set', table, name: 'ports' },
        { kind: 'deleted', subject: 'table', table, name: '' },
      ],
    })
  })

  it('does not tell of what the socket named does', async () => {
    using nftables = NftablesSocket.open()
    using heard = listen({ except: nftables.port })

    nftables.commit([addTable(table), addSet(set), ...addElements(set, [{ key: [80] }])])
    execFileSync('nft', ['delete', 'element', 'inet', 'watched', 'ports', '{ 80 }'])

    expect(await heard.next()).toMatchObject({ changes: [{ kind: 'deleted', subject: 'element', count: 1 }] })
    expect(heard.events).toEqual([])
  })

  it('says so when more happened than it could take in', async () => {
    using nftables = NftablesSocket.open()
    nftables.commit([addTable(table), addSet(set)])
    using heard = listen()

    // One commit of all would take the kernel ten times as long.
    const some = Array.from({ length: 1_000 }, (_, port) => ({ key: [port] }))
    for (let times = 0; times < 40; times++) {
      nftables.commit(addElements(set, some))
      nftables.commit(deleteElements(set, some))
    }

    for (let event = await heard.next(); event.kind !== 'overrun';) event = await heard.next()
    // By then there is room again.
    execFileSync('nft', ['delete', 'table', 'inet', 'watched'])
    expect(await heard.next()).toMatchObject({ kind: 'commit', by: { program: 'nft' } })
    expect(heard.events).toEqual([])
  })

  it('leaves no descriptor behind when it cannot be begun, whichever call fails', () => {
    using nftables = NftablesSocket.open()
    const { port } = nftables
    using faults = new SystemCallFaults()
    const before = countDescriptors()

    let nth = 0
    do {
      faults.failAt(++nth)
      try {
        watchRules(() => undefined, { except: port }).close()
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_SYSTEM_CALL' })
      }
      expect(countDescriptors()).toBe(before)
    } while (faults.failed !== undefined)

    expect(nth).toBeGreaterThan(5)
  })

  it('ends when it is closed, once or twice', () => {
    const watch = watchRules(() => undefined)

    watch.close()
    watch.close()
  })
})
