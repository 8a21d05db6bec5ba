// Starts a diagnosis of what the form says, and leads to its page.
import { t } from "./words.js";

// diagnose throws an error with fields where the server objects.
export async function diagnose({ target, way }) {
  const symptom = way === "direct" ? "websocket" : "checkup";
  const { client_id, ...rest } = target;
  const given = client_id.startsWith("mqttdoctor-") ? "" : client_id;
  const response = await fetch("/api/v1/runs", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ target: { ...rest, client_id: given }, plan: { symptom }, lang: document.documentElement.lang.startsWith("zh") ? "zh" : "en" }),
  }).catch(() => null);
  const answer = await response?.json().catch(() => null);
  if (!response?.ok || !answer?.url) throw Object.assign(new Error(answer?.error?.message ?? t("relay.unreachable", { status: response?.status ?? 0 })), { fields: answer?.error?.fields ?? {} });
  return new URL(answer.url, location.href).pathname;
}
