// Package templates renders pages: a page is a function of plain inputs. It reads nothing, decides nothing about a diagnosis
// and holds no state; what a report means was decided in diag and worded in diag/catalogue.
//
// One renderer serves live pages, stored reports and exports: the stream sends the same components as fragments.
//
// Pages carry no inline script and no inline style, so that the strictest Content-Security-Policy holds; lengths that depend
// on data are SVG attributes. The pages' own words are in i18n, one folder for each language.
package templates

//go:generate go tool templ generate
