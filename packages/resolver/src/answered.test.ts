import packet, { type Answer } from 'dns-packet'
import { describe, expect, it } from 'vitest'
import { answeredByMessage } from './answered.ts'
import { readMessage } from './message.ts'

const question = { name: 'Web.example', type: 1, class: 1 }

function answerWith(...answers: readonly Answer[]): Uint8Array {
  return packet.encode({
    type: 'response',
    questions: [{ name: 'web.example', type: 'A' }],
    answers: [...answers],
    additionals: [{ type: 'A', name: 'web.example', ttl: 1, data: '203.0.113.3' }],
  })
}

describe('what an answer tells', () => {
  it('is the addresses of the name and of what it leads to, and for how long all of that holds', () => {
    const bytes = answerWith(
      { type: 'CNAME', name: 'web.example', ttl: 30, data: 'cdn.example' },
      { type: 'A', name: 'CDN.example', ttl: 60, data: '192.0.2.1' },
      { type: 'AAAA', name: 'cdn.example', ttl: 60, data: '2001:db8::1' },
    )

    expect(answeredByMessage(question, readMessage(bytes))).toEqual({
      question,
      addresses: [
        { name: 'CDN.example', address: '192.0.2.1' },
        { name: 'cdn.example', address: '2001:db8::1' },
      ],
      ttl: 30,
    })
  })

  it('is nothing about names that nobody asked for', () => {
    const bytes = answerWith(
      { type: 'A', name: 'bank.example', ttl: 60, data: '203.0.113.1' },
      { type: 'CNAME', name: 'bank.example', ttl: 30, data: 'web.example' },
    )

    expect(answeredByMessage(question, readMessage(bytes)).addresses).toEqual([])
  })
})
