/** Why a commit failed. lmdb-js gives the system's error apart, as a promise that rejects and wants to be handled. */
export async function commitErrorOf(cause: unknown): Promise<Error> {
  const failure = cause instanceof Error ? cause : new Error(String(cause))
  try {
    await (failure as { commitError?: Promise<never> }).commitError
    return failure
  } catch (error) {
    return error instanceof Error ? error : failure
  }
}
