package ingest_test

import (
	"strings"
	"testing"

	"github.com/retainwise/millrace/ingest"
)

func TestSmoke(t *testing.T) {
	schema := ingest.Schema{Columns: []ingest.Column{
		{Name: "customerID", Aliases: []string{"id"}, Kind: ingest.Text, NotEmpty: true},
		{Name: "tenure", Kind: ingest.Number, Required: true},
		{Name: "Contract", Kind: ingest.Category, Categories: []string{"Month-to-month", "One year"}},
		{Name: "absent", Kind: ingest.Number},
	}}
	file := "id,Ten ure,Contract,other\nA,1,One year,x\nB,,Foo,y\nC,abc,One year,z\n\nD,1\n\"E\"\"1\",\"2.5\", One year ,\"q\nq\"\n,3,One year,w"
	h, rest, err := ingest.ReadHeader(strings.NewReader(file), ingest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := ingest.Map(schema, h)
	if err != nil {
		t.Fatal(err)
	}
	ch, err := ingest.NewChunker(rest, h.Start(), ingest.Limits{}).Next(nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := ingest.NewConverter(m, ingest.Limits{}).Convert(ch)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(ch.Rows, ch.Lines, b.Record)
	out := m.AppendRejectHeader(nil)
	for _, r := range b.Rejects {
		out = m.AppendReject(out, ch, r)
	}
	t.Log(string(out))
	t.Log(b.Warnings)
}
