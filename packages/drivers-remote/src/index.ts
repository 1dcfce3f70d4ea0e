/**
 * Network drivers that are plugins: other programs, asked over a socket.
 *
 * @packageDocumentation
 */

export {}
