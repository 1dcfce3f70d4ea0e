import { expect, it } from 'vitest'
import { DriverRegistry, type NetworkDriver } from './index.ts'

const driver = (type: string): NetworkDriver => ({ type }) as NetworkDriver

it('finds the driver of a type, and lists the types in order', () => {
  const registry = new DriverRegistry()
  const bridge = driver('bridge')
  registry.add(bridge)
  registry.add(driver('null'))

  expect(registry.get('bridge')).toBe(bridge)
  expect(registry.types()).toEqual(['bridge', 'null'])
})

it('says which types there are when asked for another', () => {
  const registry = new DriverRegistry()
  registry.add(driver('bridge'))

  expect(() => registry.get('brigde')).toThrow(
    expect.objectContaining({
      code: 'ERR_NO_SUCH_DRIVER',
      kind: 'not-found',
      message: 'no such network driver: "brigde"; known: bridge',
    }) as Error,
  )
})

it('keeps a type for the driver that has it', () => {
  const registry = new DriverRegistry()
  registry.add(driver('bridge'))

  expect(() => {
    registry.add(driver('bridge'))
  }).toThrow(expect.objectContaining({ code: 'ERR_DRIVER_EXISTS', kind: 'forbidden' }) as Error)
})

it.each(['', '  '])('refuses the blank type %j', (type) => {
  expect(() => {
    new DriverRegistry().add(driver(type))
  }).toThrow(expect.objectContaining({ code: 'ERR_INVALID_DRIVER_TYPE', kind: 'bad-request' }) as Error)
})
