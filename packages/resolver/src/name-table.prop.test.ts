import fc from 'fast-check'
import { expect, it } from 'vitest'
import { NameTable, type EndpointNames } from './name-table.ts'
import { SandboxNames } from './sandbox-names.ts'

const name = fc.constantFrom('web', 'WEB', 'db', 'api', 'cache', 'web.blue')
const address = fc.constantFrom('10.0.0.1', '10.0.0.2', 'fd00::1', 'fd00::2')
const endpoint: fc.Arbitrary<EndpointNames> = fc.record({
  id: fc.constantFrom('a', 'b', 'c', 'd'),
  name: fc.option(name, { nil: undefined }),
  aliases: fc.array(name, { maxLength: 3 }),
  addresses: fc.uniqueArray(address, { maxLength: 3 }),
})
const change = fc.oneof(fc.record({ add: endpoint }), fc.record({ remove: fc.constantFrom('a', 'b', 'c', 'd') }))

/** Every endpoint in a list, looked through from its beginning. */
class NaiveTable {
  endpoints: EndpointNames[] = []

  find(asked: string): string[] | undefined {
    const bearers = this.endpoints.filter((entry) =>
      [entry.name, ...(entry.aliases ?? [])].some((own) => own?.toLowerCase() === asked.toLowerCase()),
    )
    return bearers.length === 0 ? undefined : [...new Set(bearers.flatMap(({ addresses }) => addresses))].sort()
  }
}

it('finds what a list looked through would, after whatever changes', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 20 }), (changes) => {
      const table = new NameTable('green')
      const names = new SandboxNames()
      names.setNetworks([{ table }])
      const naive = new NaiveTable()
      let revision = names.revision

      for (const step of changes) {
        if ('add' in step) {
          table.add(step.add)
          naive.endpoints = [...naive.endpoints.filter(({ id }) => id !== step.add.id), step.add]
        } else {
          table.remove(step.remove)
          naive.endpoints = naive.endpoints.filter(({ id }) => id !== step.remove)
        }
        expect(names.revision).toBeGreaterThanOrEqual(revision)
        revision = names.revision
      }

      for (const asked of ['web', 'Db', 'api', 'cache', 'web.blue', 'nobody']) {
        const found = names.findName(asked)?.addresses
        expect(found && [...found].sort()).toEqual(naive.find(asked))
      }
    }),
  )
})
