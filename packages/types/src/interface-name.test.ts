import { describe, expect, it } from 'vitest'
import { isInterfaceName } from './index.ts'

describe('isInterfaceName', () => {
  it.each(['eth0', 'br-0123456789ab', 'a', 'wlan.1', '...', 'veth@x', 'é'])('takes %j', (name) => {
    expect(isInterfaceName(name)).toBe(true)
  })

  it.each([
    ['nothing', ''],
    ['16 bytes', 'sixteen-bytes-xx'],
    ['16 bytes in 8 letters', 'ääääääää'],
    ['a space', 'eth 0'],
    ['a line end', 'eth0\n'],
    ['a byte that the kernel takes for white space', 'à'],
    ['a slash', 'eth/0'],
    ['a colon', 'eth:0'],
    ['a zero byte', 'eth\0'],
    ['a template', 'eth%d'],
    ['a percent sign', '100%'],
    ['a folder', '.'],
    ['the folder above', '..'],
    ['the settings of all interfaces', 'all'],
    ['the settings of new interfaces', 'default'],
  ])('refuses %s', (_, name) => {
    expect(isInterfaceName(name)).toBe(false)
  })
})
