// Package catalogue holds every text that a person reads, as data in English and 简体中文, and turns the notes and findings
// of diag into words. Editing a text touches no Go. The data is checked when it is first used, which the program does at
// its start: a missing language, an unknown argument or a text without its twin stops it there.
//
// # Files
//
// en and zh hold files of the same names with the same keys; facts holds what no language changes.
//
//   - causes_<layer>.yaml: code -> title, summary, explanation, told_apart_by, fixes, decide, variants. In facts a file of
//     the same name gives severity and sources; the files' order of layers and the order inside them is the causal one.
//   - guides.yaml: the sections of the guides, title, text and fixes; in facts the sections of each symptom.
//   - every other file: key -> text, or key -> {label, help, values} for what has a name and an explanation. The first part
//     of the key says what it belongs to: input, field, skip, because, step, check, evidence, value, for, and so on.
//
// # Texts
//
// {name} is a fact: an argument of the note or finding (diag.ArgNames), or one of the target (host, port, hostport, url,
// http_url, scheme, path, client_id, username, server_name). An empty argument is an absent one. [[ … {name} … ]] is left out where
// one of its facts is absent; anywhere else an absent fact shows as "?", which tests catch (see [Gaps]). Braces around
// anything but a name are themselves. The facts symbol, check and field are codes, shown in words (value.outcome, check,
// field). `backticks` mark what is typed or configured literally, for [Spans].
//
// A command is a line to copy. Its facts are quoted for a POSIX shell, or for cmd and PowerShell where it is for windows, so
// no placeholder may stand inside quotes; a command is left out where one of its facts is absent or cannot be quoted.
package catalogue
