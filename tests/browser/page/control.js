/** Tells the test server to do something (`server/src/command.rs`), and waits until that is done. */
export async function control(command) {
  const response = await fetch('/control', { method: 'POST', body: JSON.stringify(command) });
  if (!response.ok) throw new Error(await response.text());
  return response.json();
}
