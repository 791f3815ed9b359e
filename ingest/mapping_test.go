package ingest_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/retainwise/millrace/ingest"
)

func header(t *testing.T, row string) ingest.Header {
	t.Helper()
	h, _, err := ingest.ReadHeader(strings.NewReader(row+"\nx\n"), ingest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestMap(t *testing.T) {
	s := ingest.Schema{Columns: []ingest.Column{
		{Name: "customerID", Aliases: []string{"id", "account"}, Required: true},
		{Name: "MonthlyCharges", Aliases: []string{"price"}},
		{Name: "id"},
	}}
	f := func(row, want string) {
		t.Helper()
		m, err := ingest.Map(s, header(t, row))
		if err != nil {
			t.Fatalf("%q: %v", row, err)
		}
		if got := fmt.Sprint(m.Fields); got != want {
			t.Errorf("%q: fields %s, want %s", row, got, want)
		}
	}
	f("customerID,MonthlyCharges,id", "[0 1 2]")
	f("ID,Customer ID,monthly_charges", "[1 2 0]")
	f("CUSTOMER-id, Monthly\u00a0Charges ", "[0 1 -1]")
	f("Account,id", "[0 -1 1]")           // a name wins over an alias
	f("account,customer_id", "[1 -1 -1]") // also for the same column
	f("x,account,x,y,x", "[1 -1 -1]")     // what is not read may stand there twice
	f("price,customerid", "[1 0 -1]")
	f("CustomerID,PRICE,monthly charges", "[0 2 -1]")
}

func TestMapMissing(t *testing.T) {
	s := ingest.Schema{Columns: []ingest.Column{
		{Name: "Customer ID", Aliases: []string{"client"}, Required: true}, {Name: "tenure", Required: true}, {Name: "x"},
	}}
	f := func(row string, want ...ingest.MissingColumn) {
		t.Helper()
		_, err := ingest.Map(s, header(t, row))
		var missing *ingest.MissingColumnsError
		if !errors.As(err, &missing) {
			t.Fatalf("%q: %v", row, err)
		}
		if fmt.Sprint(missing.Columns) != fmt.Sprint(want) {
			t.Errorf("%q: %v, want %v", row, missing.Columns, want)
		}
	}
	f("Custmer ID,tenure", ingest.MissingColumn{Name: "Customer ID", Closest: "Custmer ID"})
	f("Customer ID, Tenur ", ingest.MissingColumn{Name: "tenure", Closest: "Tenur"})
	f("clients,tenure", ingest.MissingColumn{Name: "Customer ID", Closest: "clients"})
	f("alpha,beta", ingest.MissingColumn{Name: "Customer ID"}, ingest.MissingColumn{Name: "tenure"})
	f("tenure,,"+strings.Repeat("customer", 100), ingest.MissingColumn{Name: "Customer ID"})

	_, err := ingest.Map(s, header(t, "secret,tenures"))
	if want := "missing required columns 'Customer ID', 'tenure'"; err.Error() != want {
		t.Errorf("%q, want %q: header names are the customer's", err, want)
	}
}

func TestMapDuplicate(t *testing.T) {
	s := ingest.Schema{Columns: []ingest.Column{{Name: "tenure"}, {Name: "plan", Aliases: []string{"tariff"}}}}
	f := func(row, want string) {
		t.Helper()
		_, err := ingest.Map(s, header(t, row))
		var twice *ingest.DuplicateColumnError
		if !errors.As(err, &twice) || err.Error() != want {
			t.Errorf("%q: %v, want %s", row, err, want)
		}
	}
	f("x,tenure,Tenure", "column 'tenure' is in the header twice, as columns 2 and 3")
	f("tariff,tenure,TARIFF,tariff", "column 'plan' is in the header twice, as columns 1 and 3")
}

func TestMapFormerColumns(t *testing.T) {
	s := ingest.Schema{Columns: []ingest.Column{{Name: "id"}}}
	f := func(row, data, wantHeader, wantRow string) {
		t.Helper()
		m, err := ingest.Map(s, header(t, row))
		if err != nil {
			t.Fatal(err)
		}
		if got := string(m.AppendHeader(nil)); got != wantHeader {
			t.Errorf("%q: header %q, want %q", row, got, wantHeader)
		}
		if got := string(m.AppendRow(nil, []byte(data))); got != wantRow {
			t.Errorf("%q: row %q, want %q", row, got, wantRow)
		}
	}
	f("id,a", `1,"2,3"`, "id,a", `1,"2,3"`)
	f("id,_row,_line,_code,_column,_reason", `1,2,3,ERR-1602,a,"b, c"`, "id", "1")
	f("_row,_line,_code,_column,_reason,id,x", `2,3,ERR-1602,a,"b ""c"", d",1,4`, "id,x", "1,4")
	f("id,x,churn_probability,risk_band,risk_factors,protective_factors,explanation", `1,"a,""b",0.5,low,"[{""a"":1}]",[],text`,
		"id,x", `1,"a,""b"`)
	// Not all of them, or in another order: the customer's own.
	f("id,churn_probability,explanation", "1,0.5,mine", "id,churn_probability_input,explanation_input", "1,0.5,mine")
	f("id;_row", "1;2", "id;_row_input", "1;2")
	f("_row,id,_row_input", "2,1,x", "_row_input_,id,_row_input", "2,1,x")
}
