import type { BookedPorts } from '@net/portallocator'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { LostPorts } from './lost-ports.ts'
import type { PortHeld } from './recovery-events.ts'

let told: PortHeld[]
let ports: LostPorts

beforeEach(() => {
  vi.useFakeTimers()
  told = []
  ports = new LostPorts((event) => told.push(event))
})
afterEach(async () => {
  await ports.close()
  vi.useRealTimers()
})

const port = { protocol: 'tcp', containerPort: 80, hostPort: 8080 } as const

/** A booking that answers so, one time after another, and the last for good. */
function booked(...answers: (boolean | Error)[]): { lease: BookedPorts; readonly asked: () => number } {
  let asked = 0
  const hold = (): Promise<boolean> => {
    const answer = answers[Math.min(asked++, answers.length - 1)] ?? false
    return typeof answer === 'boolean' ? Promise.resolve(answer) : Promise.reject(answer)
  }
  return { lease: { hold } as BookedPorts, asked: () => asked }
}

it('are held once others let them go, and told of', async () => {
  const { lease, asked } = booked(new Error('taken'), new Error('taken'), true)
  ports.add({ port, endpoint: 'web', lease })

  await vi.advanceTimersByTimeAsync(2_999)
  expect({ asked: asked(), told }).toEqual({ asked: 1, told: [] })
  await vi.advanceTimersByTimeAsync(60_000)
  expect({ asked: asked(), told }).toEqual({ asked: 3, told: [{ kind: 'port-held', port, endpoint: 'web' }] })
})

it('are asked for no more once they are let go', async () => {
  const { lease, asked } = booked(false)
  ports.add({ port, endpoint: 'web', lease })

  await vi.advanceTimersByTimeAsync(600_000)
  expect({ asked: asked(), told }).toEqual({ asked: 1, told: [] })
})

it('are asked for no more than once a minute, and not after closing', async () => {
  const { lease, asked } = booked(new Error('taken'))
  ports.add({ port, endpoint: 'web', lease })
  await vi.advanceTimersByTimeAsync(120_000)
  const before = asked()
  await vi.advanceTimersByTimeAsync(600_000)
  expect(asked() - before).toBe(10)

  await ports.close()
  await vi.advanceTimersByTimeAsync(600_000)
  expect(asked() - before).toBe(10)
})
