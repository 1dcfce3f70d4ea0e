import { expect, it } from 'vitest'
import { hostPortsOf, type PortRequest } from './port-request.ts'
import { parsePorts } from './requests.ts'

it.each<[Partial<PortRequest>, ReturnType<typeof hostPortsOf>]>([
  [{}, { port: undefined, count: 1 }],
  [{ hostPort: 8080 }, { port: 8080, count: 1 }],
  [{ hostPort: 8080, hostPortEnd: 8090 }, { within: { first: 8080, last: 8090 } }],
  [{ containerPortEnd: 179 }, { port: undefined, count: 100 }],
  [
    { containerPortEnd: 179, hostPort: 8080 },
    { port: 8080, count: 100 },
  ],
  [
    { containerPortEnd: 179, hostPort: 8080, hostPortEnd: 8179 },
    { port: 8080, count: 100 },
  ],
  [
    { containerPortEnd: 80, hostPort: 8080, hostPortEnd: 8080 },
    { port: 8080, count: 1 },
  ],
  [
    { containerPortEnd: 65_535, hostPort: 80 },
    { port: 80, count: 65_456 },
  ],
])('a request for port 80 with %j asks for %j of the host', (members, expected) => {
  const [request] = parsePorts([{ containerPort: 80, ...members }])

  expect(hostPortsOf(request!)).toEqual(expected)
})

it.each<[Partial<PortRequest>, string]>([
  [{ containerPort: 0 }, '0.containerPort: expected 1 to 65535, got 0'],
  [{ containerPortEnd: 65_536 }, '0.containerPortEnd: expected 1 to 65535, got 65536'],
  [{ containerPortEnd: 0 }, '0.containerPortEnd: expected 1 to 65535, got 0'],
  [{ containerPortEnd: 8099.5 }, '0.containerPortEnd: expected a whole number, got 8099.5'],
  [{ containerPortEnd: 7999 }, '0.containerPortEnd: expected 8000 (containerPort) or more, got 7999'],
  [{ hostPortEnd: 9000 }, '0.hostPortEnd: expected beside hostPort only, got 9000'],
  [{ hostPort: 9000, hostPortEnd: 8999 }, '0.hostPortEnd: expected 9000 (hostPort) or more, got 8999'],
  [{ hostPort: 0, hostPortEnd: 99 }, '0.hostPort: expected 1 to 65535, got 0'],
  [{ hostPort: 9000, hostPortEnd: 65_536 }, '0.hostPortEnd: expected 1 to 65535, got 65536'],
  [
    { containerPortEnd: 8099, hostPort: 9000, hostPortEnd: 9100 },
    "0.hostPortEnd: expected 9099, for as many ports as the container's 100, got 9100",
  ],
  [
    { containerPortEnd: 8000, hostPort: 9000, hostPortEnd: 9001 },
    "0.hostPortEnd: expected 9000, for as many ports as the container's 1, got 9001",
  ],
  [{ containerPortEnd: 8099, hostPort: 65_500 }, '0.hostPort: expected 65436 or less, for 100 ports, got 65500'],
])('a request for ports from 8000 on is refused with %j', (members, message) => {
  expect(() => parsePorts([{ containerPort: 8000, ...members }])).toThrow(
    expect.objectContaining({
      code: 'ERR_INVALID_REQUEST',
      kind: 'bad-request',
      message: expect.stringContaining(message) as string,
    }) as Error,
  )
})
