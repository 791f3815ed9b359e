package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
)

// readOutcomes reads a file and formats its outcomes and rejects.
func readOutcomes(t *testing.T, file string) (outcomes, rejects []string, rows int64, err error) {
	t.Helper()
	header, body, err := ingest.ReadHeader(strings.NewReader(file), ingest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	in := engine.Input{Body: body, Header: header, Start: header.Start()}
	rows, err = engine.ReadOutcomes(t.Context(), in, func(o engine.Outcome) {
		on := ""
		if !o.On.IsZero() {
			on = " " + o.On.Format("2006-01-02")
		}
		outcomes = append(outcomes, fmt.Sprint(o.Row, " ", o.ID, " ", o.Churned, on))
	}, func(r ingest.Reject) {
		rejects = append(rejects, fmt.Sprint(r.Row, " ", r.Line, " ", r.Reason.Code(), " ", r.Column))
	})
	return outcomes, rejects, rows, err
}

func TestReadOutcomes(t *testing.T) {
	for name, test := range map[string]struct {
		file              string
		outcomes, rejects string
	}{
		"words": {
			"customer_id,churned\na,yes\nb,no\nc,TRUE\nd,False\ne,1\nf,0\n\"g, h\", Y \n",
			"1 a true,2 b false,3 c true,4 d false,5 e true,6 f false,7 g, h true", "",
		},
		"other names, order and delimiter": {
			"Churn;Churn Date;Customer ID;note\nyes;2026-03-31;a;x\nno;;b;y\nno;2026-02-01T10:11:12Z;c;z\n",
			"1 a true 2026-03-31,2 b false,3 c false 2026-02-01", "",
		},
		"rejects": {
			"customerID,Actual_Churn,date\na,maybe,\n,yes,\nb,,\nc,yes,\"31.\n3.26\"\nd,yes,2026-02-30\ne,yes\nf,no,2026-01-02\n",
			"7 f false 2026-01-02",
			"1 2 ERR-1607 Actual_Churn,2 3 ERR-1604 customerID,3 4 ERR-1604 Actual_Churn,6 8 ERR-1601 ," +
				"4 5 ERR-1607 date,5 7 ERR-1607 date",
		},
	} {
		outcomes, rejects, rows, err := readOutcomes(t, test.file)
		if err != nil || strings.Join(outcomes, ",") != test.outcomes || strings.Join(rejects, ",") != test.rejects {
			t.Errorf("%s: %q, rejected %q: %v", name, outcomes, rejects, err)
		}
		if rows != int64(len(outcomes)+len(rejects)) {
			t.Errorf("%s: %d rows", name, rows)
		}
	}
}

// Every row of a long file is read once, for any chunk size.
func TestReadOutcomesOfManyChunks(t *testing.T) {
	var file strings.Builder
	file.WriteString("id,churn,date\n")
	for i := range 100_000 {
		fmt.Fprintf(&file, "c-%d,%d,%s\n", i, i%2, []string{"2026-01-01", "soon", ""}[i%3])
	}
	outcomes, rejects, rows, err := readOutcomes(t, file.String())
	if err != nil || rows != 100_000 || len(outcomes) != 66_667 || len(rejects) != 33_333 {
		t.Fatalf("%d rows, %d outcomes, %d rejects: %v", rows, len(outcomes), len(rejects), err)
	}
	if last := rejects[len(rejects)-1]; last != "99998 99999 ERR-1607 date" {
		t.Errorf("last reject %s", last)
	}
}

func TestReadOutcomesErrors(t *testing.T) {
	_, _, _, err := readOutcomes(t, "customer,left\na,yes\n")
	var missing *ingest.MissingColumnsError
	if !errors.As(err, &missing) || len(missing.Columns) != 1 || missing.Columns[0].Name != "churned" {
		t.Errorf("no outcome: %v", err)
	}
	_, _, _, err = readOutcomes(t, "id,churned\na,\"yes\n")
	var quote *ingest.QuoteError
	if !errors.As(err, &quote) {
		t.Errorf("open quote: %v", err)
	}
	header, body, err := ingest.ReadHeader(strings.NewReader("id,churned\na,yes\n"), ingest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = engine.ReadOutcomes(ctx, engine.Input{Body: body, Header: header, Start: header.Start()}, nil, nil)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
