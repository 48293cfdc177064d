/**
 * The answer of an object to a question that changes nothing, asked once more where the object broke down under it: a
 * deployment resets every object, and the fresh one knows the same. `ask` names the object anew each time, since one
 * that was reset answers no old stub. Throws what the second question throws.
 */
export async function askAgain<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
  try {
    return await ask();
  } catch (error) {
    console.warn("edge: an object did not answer, it is asked again", { error: String(error) });
    return ask();
  }
}
