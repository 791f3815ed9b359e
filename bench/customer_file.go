package bench

import (
	"fmt"
	"math/rand/v2"

	"github.com/retainwise/millrace/ingest"
)

// customerColumn is a column of the file that reading is measured on: 25 columns of a telecom customer in about 172
// bytes a row, one id, 14 categories, 6 whole numbers and 4 decimals, of which one is blank now and then.
type customerColumn struct {
	name   string
	values []string // of a category
}

func customerColumns() []customerColumn {
	yesNo := []string{"Yes", "No"}
	service := []string{"Yes", "No", "No internet service"}
	return []customerColumn{
		{"gender", []string{"Female", "Male"}},
		{"Partner", yesNo},
		{"Dependents", yesNo},
		{"PhoneService", yesNo},
		{"MultipleLines", []string{"Yes", "No", "No phone service"}},
		{"InternetService", []string{"DSL", "Fiber optic", "No"}},
		{"OnlineSecurity", service},
		{"OnlineBackup", service},
		{"DeviceProtection", service},
		{"TechSupport", service},
		{"StreamingTV", service},
		{"Contract", []string{"Month-to-month", "One year", "Two year"}},
		{"PaperlessBilling", yesNo},
		{"PaymentMethod", []string{
			"Electronic check", "Mailed check", "Bank transfer (automatic)", "Credit card (automatic)",
		}},
		{"SeniorCitizen", nil},
		{"tenure", nil},
		{"SupportCalls", nil},
		{"AccountAge", nil},
		{"Logins", nil},
		{"DataUsage", nil},
		{"MonthlyCharges", nil},
		{"TotalCharges", nil},
		{"AverageCall", nil},
		{"Discount", nil},
	}
}

// CustomerSchema describes every column of [CustomerFile].
func CustomerSchema() ingest.Schema {
	low, high := 0.0, 1e6
	id := ingest.Column{Name: "customerID", Kind: ingest.Text, Required: true, NotEmpty: true}
	s := ingest.Schema{Columns: []ingest.Column{id}}
	for _, c := range customerColumns() {
		column := ingest.Column{Name: c.name, Kind: ingest.Number, Min: &low, Max: &high}
		if c.values != nil {
			column = ingest.Column{Name: c.name, Kind: ingest.Category, Categories: c.values}
		}
		s.Columns = append(s.Columns, column)
	}
	return s
}

// CustomerFile makes the file, the same for the same arguments; quoted puts every text in quotes, some with commas,
// doubled quotes and line breaks inside.
func CustomerFile(rows int, quoted bool) []byte {
	w := customerWriter{random: rand.New(rand.NewPCG(7, 7)), columns: customerColumns()}
	w.file = append(w.file, "customerID"...)
	for _, c := range w.columns {
		w.file = append(append(w.file, ','), c.name...)
	}
	if quoted {
		w.quote = `"`
	}
	w.file = append(w.file, '\n')
	for range rows {
		w.row()
	}
	return w.file
}

type customerWriter struct {
	random  *rand.Rand
	columns []customerColumn
	quote   string
	file    []byte
}

func (w *customerWriter) row() {
	r := w.random
	w.file = fmt.Appendf(w.file, "%s%s%s", w.quote, w.id(), w.quote)
	for _, c := range w.columns {
		if c.values != nil {
			w.file = fmt.Appendf(w.file, ",%s%s%s", w.quote, c.values[r.IntN(len(c.values))], w.quote)
		}
	}
	monthly, tenure := float64(1825+r.IntN(10000))/100, r.IntN(73)
	w.file = fmt.Appendf(w.file, ",%d,%d,%d,%d,%d,%d,%.2f", r.IntN(2), tenure, r.IntN(10), r.IntN(5000), r.IntN(300),
		r.IntN(100000), monthly)
	if r.IntN(74) == 0 {
		w.file = append(w.file, ", "...)
	} else {
		w.file = fmt.Appendf(w.file, ",%.2f", monthly*float64(tenure))
	}
	w.file = fmt.Appendf(w.file, ",%.4f,%.3f\n", r.Float64()*30, r.Float64())
}

func (w *customerWriter) id() string {
	r := w.random
	letter := func() rune { return rune('A' + r.IntN(26)) }
	id := fmt.Sprintf("%04d-%c%c%c%c%c", r.IntN(10000), letter(), letter(), letter(), letter(), letter())
	if w.quote != "" && r.IntN(50) == 0 {
		return []string{id + ", Ltd", id + `""x""`, id + "\nBerlin"}[r.IntN(3)]
	}
	return id
}
