// Topic names and filters (MQTT 5.0 4.7, 4.8.2; 3.1.1 has the same but for shared subscriptions).

// matches tells whether a filter takes a topic.
export function matches(filter, topic) {
  const shared = /^\$share\/[^/]+\/(.*)$/s.exec(filter);
  if (shared) filter = shared[1];
  if (topic[0] === "$" && filter[0] !== "$") return false;
  const levels = filter.split("/");
  const names = topic.split("/");
  for (let i = 0; i < levels.length; i++) {
    if (levels[i] === "#") return true;
    if (i >= names.length) return false;
    if (levels[i] !== "+" && levels[i] !== names[i]) return false;
  }
  return levels.length === names.length;
}

// flaw is the key of what is wrong with a filter; empty: nothing.
export function flaw(filter) {
  if (filter === "") return "filter.empty";
  if (filter.includes("\0") || new TextEncoder().encode(filter).length > 65535) return "filter.long";
  if (filter.startsWith("$share/") && !/^\$share\/[^/+#]+\/./s.test(filter)) return "filter.share";
  const levels = filter.split("/");
  for (const [i, level] of levels.entries()) {
    if (level.includes("#") && (level !== "#" || i < levels.length - 1)) return "filter.hash";
    if (level.includes("+") && level !== "+") return "filter.plus";
  }
  return "";
}

// topicFlaw is the same for the topic of a message.
export function topicFlaw(topic) {
  if (topic === "") return "topic.empty";
  if (/[+#]/.test(topic)) return "topic.wildcard";
  if (topic.includes("\0") || new TextEncoder().encode(topic).length > 65535) return "filter.long";
  return "";
}
