import { join } from 'node:path'

// libnetwork: externalKeyListener. Its hook and ours can speak with each other's controllers.

/** What a hook says: whose sandbox it is, and where the runtime made the namespace. */
export interface KeyMessage {
  readonly ContainerID: string
  readonly Key: string
}

/** The answer to a hook whose namespace is in place. Any other answer says why it is not. */
export const SUCCESS = 'success'

/** So many bytes are read of a hook, and no more. */
export const MAX_REQUEST_BYTES = 1_280

/** So many characters of a refusal are sent. */
export const MAX_ANSWER_LENGTH = 1_024

/** Where a controller listens whose namespaces are in `folder`; only root comes into the folder between the two. */
export function keySocketOf(folder: string): string {
  return join(folder, 'keys', 'setkey.sock')
}
