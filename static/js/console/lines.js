// The difference of two texts, line by line.
const most = 400; // lines of each that are compared

// lineDifferences lists {kind, text} with same, removed and added, or null where the texts are too long for that.
export function lineDifferences(before, now) {
  const a = before.split("\n");
  const b = now.split("\n");
  if (a.length > most || b.length > most) return null;
  // The longest common subsequence.
  const rows = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) rows[i][j] = a[i] === b[j] ? rows[i + 1][j + 1] + 1 : Math.max(rows[i + 1][j], rows[i][j + 1]);
  }
  const all = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      all.push({ kind: "same", text: a[i++] });
      j++;
    } else if (i < a.length && (j >= b.length || rows[i + 1][j] >= rows[i][j + 1])) all.push({ kind: "removed", text: a[i++] });
    else all.push({ kind: "added", text: b[j++] });
  }
  return all;
}
