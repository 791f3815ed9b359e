package ingest_test

import (
	"math"
	"strings"
	"testing"

	"github.com/retainwise/millrace/ingest"
)

func TestSchemaValidate(t *testing.T) {
	if err := churn().Validate(); err != nil {
		t.Error(err)
	}
	f := func(want string, columns ...ingest.Column) {
		t.Helper()
		err := ingest.Schema{Columns: columns}.Validate()
		if err == nil || err.Error() != "check schema: "+want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	category := func(texts ...string) ingest.Column {
		return ingest.Column{Name: "x", Kind: ingest.Category, Categories: texts}
	}
	f("column without a name", ingest.Column{Name: " _"})
	f(`column "A_b" stands there twice`, ingest.Column{Name: "ab"}, ingest.Column{Name: "A_b"})
	f(`column "x": unknown kind 7`, ingest.Column{Name: "x", Kind: 7})
	f(`column "x": 0 categories, want 1 to 65534`, category())
	f(`column "x": 65535 categories, want 1 to 65534`, category(strings.Split(strings.Repeat("a,", 65534)+"a", ",")...))
	f(`column "x": category 1 is empty, not text, or there twice`, category("a", ""))
	f(`column "x": category 1 is empty, not text, or there twice`, category("a", "a"))
	f(`column "x": category 0 is empty, not text, or there twice`, category("\x00"))
	f(`column "x": category 0 is empty, not text, or there twice`, category("\xff"))
	spelled := category("a")
	spelled.Spellings = map[string]string{"A": "b"}
	f(`column "x": spelling of "b", which is no category`, spelled)
	f(`column "x": bounds are not in order`, ingest.Column{Name: "x", Min: bound(2), Max: bound(1)})
	f(`column "x": bounds are not in order`, ingest.Column{Name: "x", AllowedMin: bound(2), AllowedMax: bound(1)})
	f(`column "x": bounds are not in order`, ingest.Column{Name: "x", Max: bound(math.NaN())})
}
