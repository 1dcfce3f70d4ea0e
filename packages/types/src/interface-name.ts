/** linux/if.h: IFNAMSIZ, less the zero byte at its end. */
const MAX_BYTES = 15
/** Space, tab, line ends and, as the kernel classes bytes, the non-breaking space of Latin-1. */
const WHITE_SPACE: ReadonlySet<number> = new Set([9, 10, 11, 12, 13, 32, 160])
/** `.` and `..` are folders in /sys and /proc; there, `all` and `default` are the settings of no interface. */
const reserved: readonly string[] = ['.', '..', 'all', 'default']

/**
 * Whether an interface can be called so, and is called so then: 1 to 15 bytes, none of them white space, `/` or `:`
 * (net/core/dev.c: dev_valid_name), and no `%`, which has the kernel make up a name out of a template (`eth%d`).
 * Nor the names that are settings' own: `.`, `..`, `all` and `default`.
 */
export function isInterfaceName(name: string): boolean {
  const bytes = new TextEncoder().encode(name)
  return (
    bytes.length >= 1 &&
    bytes.length <= MAX_BYTES &&
    !bytes.some((byte) => WHITE_SPACE.has(byte)) &&
    !/[/:%\0]/.test(name) &&
    !reserved.includes(name)
  )
}
