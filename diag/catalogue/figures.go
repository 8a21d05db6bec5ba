package catalogue

import (
	"regexp"
	"strconv"
)

var (
	longMilliseconds = regexp.MustCompile(`^([0-9]{4,12}) ms$`)
	wholeNumber      = regexp.MustCompile(`^[0-9]{5,18}$`)
)

// inSeconds writes a time of a second or more as people read it: "2 s" for "2000 ms", "2.01 s" for "2012 ms". Whatever else is
// left as it is.
func inSeconds(value string) string {
	found := longMilliseconds.FindStringSubmatch(value)
	if found == nil {
		return value
	}
	ms, _ := strconv.ParseFloat(found[1], 64) // digits only
	short, _ := strconv.ParseFloat(strconv.FormatFloat(ms/1000, 'g', 3, 64), 64)
	if ms >= 1e6 {
		short = float64(int(ms/1000 + 0.5))
	}
	return strconv.FormatFloat(short, 'f', -1, 64) + " s"
}

// groupThousands parts the thousands of a whole number from five digits on, as the tables of the pages do.
func groupThousands(value string) string {
	if !wholeNumber.MatchString(value) {
		return value
	}
	for i := len(value) - 3; i > 0; i -= 3 {
		value = value[:i] + "," + value[i:]
	}
	return value
}
