package ingest_test

import (
	"strings"
	"testing"

	"github.com/retainwise/millrace/ingest"
)

// TestAllReasonsOfARow checks that every reason of a row is named at once, in the order of the fields, up to eight.
func TestAllReasonsOfARow(t *testing.T) {
	var columns []ingest.Column
	var names []string
	for _, name := range strings.Split("a b c d e f g h i j", " ") {
		columns = append(columns, ingest.Column{Name: name, Kind: ingest.Number})
		names = append(names, name)
	}
	columns = append(columns, ingest.Column{Name: "id", Kind: ingest.Text, NotEmpty: true})
	schema := ingest.Schema{Columns: columns}
	header := strings.Join(names, ",") + ",id\n"
	for name, test := range map[string]struct{ row, want string }{
		"one":            {"x,1,1,1,1,1,1,1,1,1,z", "1602 a"},
		"three":          {"1,x,1,1,inf,1,1,1,1,1,", "1602 b|1603 e|1604 id"},
		"more than 8":    {"x,x,x,x,x,x,x,x,x,x,z", "1602 a|1602 b|1602 c|1602 d|1602 e|1602 f|1602 g|1602 h"},
		"NUL and others": {"1,x\x00,1,x,1,1,1,1,1,1,", "1609 b|1602 d|1604 id"},
		"UTF-8, others":  {"1,1,1,x,1,1,1,1,1,1,\xff", "1606 id|1602 d"},
		"width alone":    {"x,x,x", "1601 "},
	} {
		t.Run(name, func(t *testing.T) {
			good := "1,1,1,1,1,1,1,1,1,1,z\n"
			m, chunk, batch := convertFile(t, header+good+test.row+"\n"+good, schema, false)
			if len(batch.Rejects) != 1 || batch.Rejects[0].Row != 2 || batch.Record.NumRows() != 2 {
				t.Fatalf("%d rows, rejects %+v", batch.Record.NumRows(), batch.Rejects)
			}
			reject := batch.Rejects[0]
			var got []string
			for _, c := range reject.Causes() {
				got = append(got, strings.TrimPrefix(c.Reason.Code(), "ERR-")+" "+c.Column)
				if !strings.Contains(reject.Sentence(), c.Sentence()) {
					t.Errorf("%q lacks %q", reject.Sentence(), c.Sentence())
				}
			}
			if text := strings.Join(got, "|"); text != test.want {
				t.Errorf("got %s, want %s", text, test.want)
			}
			if row := string(m.AppendReject(nil, chunk, reject)); !strings.Contains(row, strings.Fields(test.want)[0]) ||
				strings.Count(row, "cannot be used")+strings.Count(row, "is empty") != len(got) && reject.Reason != ingest.WrongFieldCount {
				t.Errorf("rejects file has %q", row)
			}
		})
	}
}
