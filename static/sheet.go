package static

import (
	"io/fs"
	"strings"
)

// SheetName is where pages find [Sheet], below this folder like the files of [FS].
const SheetName = "css/site.css"

// Sheet is the style sheet that every page loads, and that a report carries as a file: tokens, base and components, in this
// order, and what holds for paper. It is one file, as each one that stands in the way of the first paint costs a request.
func Sheet() string {
	var css strings.Builder
	for _, name := range []string{"css/tokens.css", "css/base.css", "css/components.css"} {
		css.WriteString(MustRead(name))
	}
	css.WriteString("@media print {\n" + MustRead("css/print.css") + "}\n")
	return css.String()
}

// MustRead reads a file of [FS], which is part of the program.
func MustRead(name string) string {
	data, err := fs.ReadFile(FS, name)
	if err != nil {
		panic(err)
	}
	return string(data)
}
