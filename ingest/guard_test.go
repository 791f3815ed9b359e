package ingest_test

import (
	"bytes"
	"encoding/csv"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/retainwise/millrace/ingest"
)

func TestGuardCells(t *testing.T) {
	for _, test := range []struct{ cell, want string }{
		{`=1+1`, `'=1+1`},
		{`=cmd|'/C calc'!A0`, `'=cmd|'/C calc'!A0`},
		{`@SUM(1)`, `'@SUM(1)`},
		{`+1+1`, `'+1+1`},
		{`-1+1`, `'-1+1`},
		{`-`, `-`},
		{`"="`, `"'="`},
		{` @ `, ` @ `},
		{`  =1`, `'  =1`},
		{"\u00a0=1", "'\u00a0=1"},
		{"\u200b\ufeff=1", "'\u200b\ufeff=1"},
		{"\t=1", "'\t'=1"},
		{"\tplain", "'\tplain"},
		{"\x0b=1", "'\x0b=1"},
		{"\x00=1", "'\x00=1"},
		{"＝1", "'＝1"},
		{"＋1", "'＋1"},
		{"－1", "'－1"},
		{"＠a", "'＠a"},
		{`"=1,2"`, `"'=1,2"`},
		{`"=""a"""`, `"'=""a"""`},
		{"\"two\n=1\"", "\"two\n'=1\""},
		{"\"two\r\n -x\n+y\"", "\"two\r\n' -x\n'+y\""},
		{"\"\n=1\"", "\"'\n'=1\""},
		{"\"\r\"", "\"'\r\""},
		{"a\r=1", "\"a\r'=1\""},
		{`a;=1`, `"a;'=1"`},
		{`a; =1`, `"a;' =1"`},
		{`"a,=1"`, `"a,'=1"`},
		{"a\t@b", "a\t'@b"},
		{`a|%b`, `a|'%b`},
		{`a|-5|+1e3|-`, `a|-5|+1e3|-`},
		{`"a;""=1"""`, `"a;""'=1"""`},
		{`"[1,-2]"`, `"[1,-2]"`},
		{`"{""a"":""x,=y"",""b"":-1.5}"`, `"{""a"":""x,'=y"",""b"":-1.5}"`},
		{`"Doe, John"`, `"Doe, John"`},
		{"\"a\t=1;+b,-c|@d\"", "\"a\t'=1;'+b,'-c|'@d\""},
		{`=a;b`, `"'=a;b"`},
		{`"-1,000"`, `"'-1,000"`},
		{`-5%`, `'-5%`},
		{`-$5`, `'-$5`},
		{`5%`, `5%`},
		{`a|b`, `a|b`},
		{`- 5`, `'- 5`},
		{`-1e`, `'-1e`},
		{`+.`, `'+.`},
		{`'=1`, `''=1`}, // not what becomes of =1
		{`''=1`, `'''=1`},
		{`' =1`, `'' =1`},
		{` '=1`, ` '=1`},
		{`'-5`, `'-5`},
		{`'t`, `'t`},
		{``, ``},
		{`plain`, `plain`},
		{`"quoted"`, `"quoted"`},
		{`élan`, `élan`},
		{`a=b`, `a=b`},
		{`2-1`, `2-1`},
	} {
		got, changed := ingest.GuardRows([]byte(test.cell+"\n"), ',')
		first := strings.TrimSuffix(string(got), "\n")
		if first != test.want || changed != (test.cell != test.want) {
			t.Errorf("%q: got %q (changed %v), want %q", test.cell, first, changed, test.want)
		}
	}
}

// TestC2GuardsPipeAndPercent wants of | and % what is done for the other signs, wherever a line of a cell begins, and
// the numbers that have a sign, or a percent sign behind them, left alone.
func TestC2GuardsPipeAndPercent(t *testing.T) {
	for _, sign := range []string{"|", "%", "｜", "％"} {
		for _, rest := range []string{"cmd", "1+1", "-5", "50", " x"} {
			text := sign + rest
			for cell, want := range map[string]string{
				text:                    "'" + text,
				" " + text:              "' " + text,
				"\u200b" + text:         "'\u200b" + text,
				`"` + text + `"`:        `"'` + text + `"`,
				"\"a\n" + text + `"`:    "\"a\n'" + text + `"`,
				"\"a\r\n" + text + `,"`: "\"a\r\n'" + text + `,"`,
				"'" + text:              "''" + text,
				"a" + text:              "a" + text,
			} {
				if got, _ := ingest.GuardRows([]byte("x,"+cell+"\n"), ','); string(got) != "x,"+want+"\n" {
					t.Errorf("%q: got %q, want %q", cell, got, want)
				}
			}
		}
	}
	for _, number := range []string{"-5", "+3.2", "12%", "3.2 %", "0", "-1e5"} {
		if got, changed := ingest.GuardRows([]byte(number+"\n"), ','); changed {
			t.Errorf("%q became %q", number, got)
		}
	}
	if got, _ := ingest.GuardRows([]byte("a|%b|c\n"), '|'); string(got) != "a|'%b|c\n" {
		t.Errorf("a file with pipes became %q", got)
	}
}

// numberPattern is the published rule for what stays.
var numberPattern = regexp.MustCompile(`^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$`)

// isLone says whether a text is a sign alone that begins nothing.
func isLone(text string) bool {
	return utf8.RuneCountInString(text) == 1 && !strings.Contains("=＝", text)
}

// pieceEnd is where a program may split a line.
var pieceEnd = regexp.MustCompile(`[,;\t|]`)

func TestGuardLeavesNumbers(t *testing.T) {
	for _, cell := range []string{
		"-12.5", "+1", "-1e-3", "+1e5", "-0", "-.5", "-5.", "+1E+308", " -12.5 ", "\t-5", "-0012", "12", "\"-5\"", "\"\n-5\"",
	} {
		if got, changed := ingest.GuardRows([]byte(cell+",x\n"), ','); changed {
			t.Errorf("%q became %q", cell, got)
		}
	}
}

// FuzzGuard holds the guard against its rule, written down a second time: no cell of what it writes begins with a sign,
// numbers are untouched, what it added can be taken off again, and a file of millrace's own is guarded once.
func FuzzGuard(f *testing.F) {
	for _, s := range []string{"=1", "'\t-5\n\t", "'\n=1", "-5", "\t-5", "a\n=b", "＝1", "\ufeff@", "a;b", "\"", "\r\n=", "'=1", "-1e5x", "|cmd", "%1+1", "a\n%b", "｜", "％5", "|", "a;=1", "a,\"-b", "-", "\t=1;@x", ";;=a|+b", "-1,000"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, cell string) {
		row := `x,"` + strings.ReplaceAll(cell, `"`, `""`) + `",-5,y` + "\n"
		guarded, _ := ingest.GuardRows([]byte(row), ',')
		reader := csv.NewReader(bytes.NewReader(bytes.ReplaceAll(guarded, []byte("\r"), []byte("\x01"))))
		cells, err := reader.Read()
		if err != nil || len(cells) != 4 || cells[0] != "x" || cells[2] != "-5" || cells[3] != "y" {
			t.Fatalf("%q became %q: %v", row, guarded, err)
		}
		got := strings.ReplaceAll(cells[1], "\x01", "\r")
		if strings.Contains(cell, "\x01") {
			return
		}
		if back := ingest.Unguard(got); back != cell {
			t.Fatalf("%q became %q and came back as %q", cell, got, back)
		}
		if again := ingest.GuardOnce(got); again != got {
			t.Fatalf("%q became %q and then %q", cell, got, again)
		}
		trimmed := strings.TrimFunc(cell, hidden)
		if numberPattern.MatchString(trimmed) {
			if got != cell {
				t.Fatalf("number %q became %q", cell, got)
			}
			return
		}
		if strings.ReplaceAll(got, "'", "") != strings.ReplaceAll(cell, "'", "") {
			t.Fatalf("%q became %q", cell, got)
		}
		if got != "" && strings.ContainsRune("\t\r\n", rune(got[0])) {
			t.Fatalf("%q became %q", cell, got)
		}
		for line := range strings.FieldsFuncSeq(got, func(r rune) bool { return r == '\r' || r == '\n' }) {
			rest := strings.TrimFunc(line, hidden)
			if !isLone(rest) && !numberPattern.MatchString(rest) && strings.IndexAny(rest, "=+-@|%＝＋－＠｜％") == 0 {
				t.Fatalf("%q became %q", cell, got)
			}
			for _, piece := range pieceEnd.Split(line, -1)[1:] {
				rest := strings.TrimFunc(strings.TrimLeft(piece, `"`), hidden)
				number := strings.TrimFunc(strings.TrimRight(rest, `])}" `), hidden)
				if !isLone(rest) && !numberPattern.MatchString(number) && strings.IndexAny(rest, "=+-@%＝＋－＠｜％") == 0 {
					t.Fatalf("%q became %q with the piece %q", cell, got, piece)
				}
			}
		}
	})
}

func hidden(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
}
