import { describe, expect, it } from 'vitest'
import { randomBytes, randomId, shortId, silentLogger } from './index.ts'

describe('ids', () => {
  it('are 64 random hexadecimal digits, of which people see twelve', () => {
    const id = randomId()

    expect(id).toMatch(/^[0-9a-f]{64}$/)
    expect(randomId()).not.toBe(id)
    expect(shortId(id)).toBe(id.slice(0, 12))
    expect(randomBytes(5)).toHaveLength(5)
  })
})

describe('silentLogger', () => {
  it('says nothing, nor do its children', () => {
    const child = silentLogger.child({ package: 'ipam' })
    child.debug({}, 'a')
    child.info({}, 'b')
    child.warn({}, 'c')
    child.error({}, 'd')

    expect(child).toBe(silentLogger)
  })
})
