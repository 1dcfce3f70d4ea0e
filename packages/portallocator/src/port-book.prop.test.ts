import fc from 'fast-check'
import { expect, it } from 'vitest'
import { addressesMeet, EVERY_ADDRESS } from './host-address.ts'
import { PortBook } from './port-book.ts'

const SIZE = 30
const addresses = [EVERY_ADDRESS, '0.0.0.0', '::', '127.0.0.1', '127.0.0.2', '::1']

const range = fc
  .tuple(fc.nat(SIZE - 1), fc.nat(SIZE - 1))
  .map(([one, other]) => [Math.min(one, other), Math.max(one, other)] as const)
const step = fc.record({ range, address: fc.constantFrom(...addresses), isTaken: fc.boolean() })

it('knows of the same conflicts as a list of every port on every address', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const book = new PortBook()
      let list: { port: number; address: string; first: number; last: number }[] = []
      for (const {
        range: [first, last],
        address,
        isTaken,
      } of steps) {
        const inTheWay = list
          .filter((taken) => taken.port >= first && taken.port <= last && addressesMeet(taken.address, address))
          .sort((one, other) => one.port - other.port)
        const found = book.conflict('tcp', first, last, address)
        expect(found === undefined ? undefined : Math.max(found.first, first)).toBe(inTheWay[0]?.port)
        expect(book.conflict('udp', first, last, address)).toBeUndefined()

        if (isTaken && inTheWay.length === 0) {
          book.add('tcp', first, last, address)
          for (let port = first; port <= last; port++) list.push({ port, address, first, last })
        } else {
          book.remove('tcp', first, last, address)
          list = list.filter((taken) => taken.first !== first || taken.last !== last || taken.address !== address)
        }
      }
    }),
  )
})

it.each([
  [EVERY_ADDRESS, '::1', true],
  ['0.0.0.0', '127.0.0.1', true],
  ['0.0.0.0', '::', false],
  ['0.0.0.0', '::1', false],
  ['::', '::1', true],
  ['127.0.0.1', '127.0.0.2', false],
])('takes %j and %j to meet: %s', (one, other, expected) => {
  expect(addressesMeet(one, other)).toBe(expected)
  expect(addressesMeet(other, one)).toBe(expected)
})
