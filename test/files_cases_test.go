package test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// table is a CSV file before it is written: a header and rows of cells.
type table struct {
	names []string
	rows  [][]string
}

func (f table) clone() table {
	out := table{names: slices.Clone(f.names)}
	for _, row := range f.rows {
		out.rows = append(out.rows, slices.Clone(row))
	}
	return out
}

func (f table) column(name string) int { return slices.Index(f.names, name) }

// each changes every cell of some columns.
func (f table) each(change func(string) string, names ...string) table {
	f = f.clone()
	for _, name := range names {
		at := f.column(name)
		for _, row := range f.rows {
			row[at] = change(row[at])
		}
	}
	return f
}

// with adds a column that the model does not read.
func (f table) with(name, cell string) table {
	f = f.clone()
	f.names = append(f.names, name)
	for i := range f.rows {
		f.rows[i] = append(f.rows[i], cell)
	}
	return f
}

// text writes the file; cells with the delimiter are quoted.
func (f table) text(delimiter string) string {
	var b strings.Builder
	for _, row := range append([][]string{f.names}, f.rows...) {
		for i, cell := range row {
			if i > 0 {
				b.WriteString(delimiter)
			}
			if strings.Contains(cell, delimiter) {
				cell = `"` + cell + `"`
			}
			b.WriteString(cell)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// fileCase is a file with a fault of a kind, and what must become of it.
type fileCase struct {
	name, file string
	flags      []string // of the command line: "decimal", ","
	clean      string   // a file without the fault: every row that is not rejected has its score
	rejects    []string // "row line code column", in order; of a file that is scored
	refused    string   // the code of the file; then nothing else matters
}

var moneyColumns = []string{"MonthlyCharges", "TotalCharges"}

var yesNoColumns = []string{"Partner", "Dependents", "PhoneService", "PaperlessBilling"}

// fileCases remakes the kinds of files that people really send, each with its fault in places of its own.
func fileCases(random *rand.Rand, clean table) []fileCase {
	comma := func(cell string) string { return strings.Replace(cell, ".", ",", 1) }
	text := clean.text(",")
	whole := func(cell string) string { cell, _, _ = strings.Cut(cell, "."); return cell }
	integers := clean.each(whole, moneyColumns...)
	for _, row := range integers.rows { // so that there is a thousand
		row[integers.column("TotalCharges")] = fmt.Sprint(1000 + random.IntN(7000))
	}
	thousands := func(sign string) func(string) string {
		return func(cell string) string {
			digits, rest, found := strings.Cut(cell, ".")
			if len(digits) > 3 {
				digits = digits[:len(digits)-3] + sign + digits[len(digits)-3:]
			}
			if found {
				rest = "." + rest
			}
			return digits + rest
		}
	}
	german := func(cell string) string {
		return strings.NewReplacer(".", ",", "#", ".").Replace(thousands("#")(cell))
	}
	at := random.IntN(len(clean.rows))
	cases := []fileCase{
		{name: "decimal commas", file: "\ufeff" + strings.ReplaceAll(clean.each(comma, moneyColumns...).text(";"), "\n", "\r\n")},
		{name: "decimal commas and thousands", file: clean.each(german, moneyColumns...).text(";")},
		{name: "decimal commas in quotes", file: clean.each(comma, moneyColumns...).text(",")},
		{name: "English thousands", file: clean.each(thousands(","), moneyColumns...).text(",")},
		{name: "thousands with spaces", file: clean.each(thousands("\u202f"), moneyColumns...).text("\t")},
		{name: "thousands with apostrophes", file: clean.each(thousands("’"), moneyColumns...).text(",")},
		{name: "dollars", file: clean.each(func(c string) string { return addTo(c, "$", "") }, moneyColumns...).text(",")},
		{name: "euros", file: clean.each(func(c string) string { return addTo(comma(c), "", " €") }, moneyColumns...).text(";")},
		{name: "thousands points alone", file: integers.each(thousands("."), moneyColumns...).text(";"), refused: "ERR-1016"},
		{
			name: "thousands points alone, stated", file: integers.each(thousands("."), moneyColumns...).text(";"),
			flags: []string{"decimal", ","}, clean: integers.text(","),
		},
		{name: "both styles", file: mixedStyles(clean), refused: "ERR-1016"},
		spoiled(clean, at, "MonthlyCharges", comma, "ERR-1612"),
		spoiled(clean, at, "tenure", func(c string) string { return c + " m" }, "ERR-1602"),
		{name: "title case", file: clean.each(titled, "Contract", "InternetService", "PaymentMethod").text(",")},
		{name: "upper case", file: clean.each(strings.ToUpper, "Contract", "InternetService", "PaymentMethod").text(",")},
		{name: "underscores", file: clean.each(swapped("_"), "Contract", "InternetService").text(",")},
		{name: "dashes", file: clean.each(swapped("–"), "Contract").text(",")},
		{name: "no-break spaces", file: clean.each(swapped("\u00a0"), "InternetService", "PaymentMethod").text(",")},
		{name: "pandas floats", file: clean.each(spelled("1.0", "0.0"), yesNoColumns...).text(",")},
		{name: "PostgreSQL booleans", file: clean.each(spelled("t", "f"), yesNoColumns...).text(",")},
		{name: "German booleans", file: clean.each(spelled("WAHR", "FALSCH"), yesNoColumns...).text(",")},
		{name: "float categories", file: clean.each(func(c string) string { return c + ".0" }, "SeniorCitizen").text(",")},
		{name: "lines of commas", file: text + strings.Repeat(strings.Repeat(",", len(clean.names)-1)+"\n", 1+random.IntN(4))},
		{name: "own columns", file: clean.with("churn_probability", "0.11").with("_code", "x").text(",")},
	}
	cases = append(cases, rowCases(random, clean)...)
	for i := range cases {
		if cases[i].clean == "" {
			cases[i].clean = text
		}
	}
	return cases
}

// rowCases have rows that must be rejected.
func rowCases(random *rand.Rand, clean table) []fileCase {
	n, at := len(clean.rows), random.IntN(len(clean.rows))
	total := make([]string, len(clean.names))
	total[0] = []string{"Total", "Grand total", "Summe", "Subtotal:"}[random.IntN(4)]
	total[clean.column("MonthlyCharges")], total[clean.column("TotalCharges")] = "31300", "1038600"
	noted := clean.with("note", "ok")
	lines := strings.SplitAfter(noted.text(","), "\n")
	stray := slices.Clone(lines)
	stray[1+at] = strings.Replace(stray[1+at], ",ok\n", []string{`,5" pipe`, `,="00123"`, `,IT"S`, `, "b"`}[random.IntN(4)]+"\n", 1)
	wide := slices.Clone(lines)
	wide[1+at] = strings.Replace(wide[1+at], ",ok\n", ",o,k\n", 1)
	row := fmt.Sprintf("%d %d", at+1, at+2)
	return []fileCase{
		{name: "total", file: clean.text(",") + strings.Join(total, ",") + "\n", rejects: []string{fmt.Sprintf("%d %d ERR-1614 customerID", n+1, n+2)}},
		{name: "stray quote", file: strings.Join(stray, ""), rejects: []string{row + " ERR-1613 note"}},
		{name: "open quote", file: strings.Join(lines, "") + `X,"` + lines[1][2:], refused: "ERR-1009"},
		{name: "a field too many", file: strings.Join(wide, ""), rejects: []string{row + " ERR-1601 "}},
		{name: "shifted", file: shifted(clean), refused: "ERR-1017"},
	}
}

// shifted writes decimal commas without quotes and leaves out the last cell.
func shifted(clean table) string {
	var b strings.Builder
	b.WriteString("customerID,Contract,tenure,MonthlyCharges,TotalCharges,note\n")
	for i := range clean.rows {
		cents := 2000 + 317*i%8000
		fmt.Fprintf(&b, "%s,Two year,%d,%d,%02d,%d\n", clean.rows[i][0], 10+i%50, cents/100, cents%100, (10+i%50)*cents/100)
	}
	return b.String()
}

func mixedStyles(clean table) string {
	f := clean.clone()
	for i, row := range f.rows {
		if at := f.column("MonthlyCharges"); i%2 == 0 {
			row[at] = "91,15"
		} else {
			row[at] = "91.15"
		}
	}
	return f.text(";")
}

// spoiled changes one cell, whose row must be rejected.
func spoiled(clean table, row int, column string, change func(string) string, code string) fileCase {
	f := clean.clone()
	at := f.column(column)
	f.rows[row][at] = change(f.rows[row][at])
	if f.rows[row][at] == clean.rows[row][at] {
		f.rows[row][at] = "91,15" // there was nothing to change
	}
	return fileCase{
		name: code + " in " + column, file: f.text(","),
		rejects: []string{fmt.Sprintf("%d %d %s %s", row+1, row+2, code, column)},
	}
}

func addTo(cell, front, behind string) string {
	if strings.TrimSpace(cell) == "" {
		return cell
	}
	return front + cell + behind
}

// titled writes every word with a capital: Month-To-Month.
func titled(cell string) string {
	out := []byte(cell)
	for i := range out {
		if i == 0 || out[i-1] == ' ' || out[i-1] == '-' {
			out[i] = strings.ToUpper(string(out[i]))[0]
		}
	}
	return string(out)
}

// swapped has another separator between words.
func swapped(sign string) func(string) string {
	return func(cell string) string { return strings.NewReplacer(" ", sign, "-", sign).Replace(cell) }
}

// spelled writes yes and no in other words, and leaves the rest.
func spelled(yes, no string) func(string) string {
	return func(cell string) string {
		switch cell {
		case "Yes":
			return yes
		case "No":
			return no
		}
		return cell
	}
}
