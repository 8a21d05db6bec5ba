// Package catalogue holds every text that a person reads, as data in English and 简体中文, and turns the notes and findings
// of diag into words. Editing a text touches no Go. The data is checked when the program starts: a missing language, an
// unknown argument or a text without its twin stops it.
package catalogue
