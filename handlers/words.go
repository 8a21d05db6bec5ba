package handlers

import (
	"mqttdoctor/diag"
	"mqttdoctor/diag/catalogue"
)

// say puts a note into words.
func say(n diag.Note, lang catalogue.Lang) string { return catalogue.Text(n, lang) }
