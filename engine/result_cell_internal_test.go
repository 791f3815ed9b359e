package engine

import (
	"encoding/csv"
	"strings"
	"testing"
)

// TestCloseCell writes texts as cells that began with a quote, and reads them back with encoding/csv: quotes stay only
// where they are needed, and appendCell writes the same.
func TestCloseCell(t *testing.T) {
	for text, quoted := range map[string]bool{
		"": false, "High risk": false, "tenure is 3": false, "a;b": true, "a,b": true, "two\nlines": true,
		`the plan "gold"`: true, `"`: true, `""`: true, `"first`: true, `a"b,c"d`: true, "quote\" and\nbreak": true,
	} {
		for _, delimiter := range []byte{',', ';', '\t'} {
			e := resultEncoder{delimiter: delimiter}
			begin := append([]byte("id"), delimiter, '"')
			row := e.closeCell(append(begin, text...), len(begin))
			reader := csv.NewReader(strings.NewReader(string(row) + "\n"))
			reader.Comma = rune(delimiter)
			cells, err := reader.Read()
			if err != nil || len(cells) != 2 || cells[1] != text {
				t.Errorf("%q: %q is read as %q: %v", text, row, cells, err)
			}
			needed := quoted && !(text == "a,b" && delimiter != ',')
			if got := row[len("id,")-1] == delimiter && strings.HasPrefix(string(row[len("id,"):]), `"`); got != needed {
				t.Errorf("%q with %q: quotes %v in %q", text, delimiter, got, row)
			}
			if cell := appendCell([]byte("id"+string(delimiter)), []byte(text), delimiter); string(cell) != string(row) {
				t.Errorf("%q: appendCell writes %q, closeCell %q", text, cell, row)
			}
		}
	}
}
