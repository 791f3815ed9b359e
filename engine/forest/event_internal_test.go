package forest

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// trace writes a document's events in one line.
func trace(r eventReader) (string, error) {
	var b strings.Builder
	for {
		e, err := r.next()
		if err != nil {
			return b.String(), err
		}
		switch e.kind {
		case eventEnd:
			return strings.TrimSpace(b.String()), nil
		case eventObject:
			b.WriteString("{ ")
		case eventEndObject:
			b.WriteString("} ")
		case eventArray:
			b.WriteString("[ ")
		case eventEndArray:
			b.WriteString("] ")
		case eventKey, eventString:
			text, ok := e.asString()
			fmt.Fprintf(&b, "%q%s ", text, map[bool]string{true: "", false: "!"}[ok])
		case eventNull:
			b.WriteString("null ")
		case eventBool:
			fmt.Fprintf(&b, "%v ", e.integer != 0)
		default:
			v, _ := e.asFloat32()
			fmt.Fprintf(&b, "%v ", v)
		}
	}
}

func TestJSONEvents(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{`{}`, `{ }`},
		{` { "a" : [ 1 , -2.5E-1 , [ ] ] , "b" : { "c" : null } } ` + "\n", `{ "a" [ 1 -0.25 [ ] ] "b" { "c" null } }`},
		{`[true,false,null,NaN,Infinity,-Infinity]`, `[ true false null NaN +Inf -Inf ]`},
		{
			`["","a\"b\\c\/\n\t\r\b\f","\u00e4\u20ac","\ud83d\ude00","\ud83d!","\ud83d\u0041"]`,
			`[ "" "a\"b\\c/\n\t\r\b\f" "ä€" "😀" "�!" "�A" ]`,
		},
		{`["\q","\u12","\u12g4","\ud83d\uqqqq"]`, `[ ""! ""! ""! ""! ]`},
		{`"only"`, `"only"`},
	} {
		got, err := trace(newJSONReader([]byte(tt.text), newMeter(DefaultLimits(), 0)))
		if err != nil || got != tt.want {
			t.Errorf("%s\n got %s, %v\nwant %s", tt.text, got, err, tt.want)
		}
	}
}

func TestJSONRefuses(t *testing.T) {
	for _, text := range []string{
		``, ` `, `{`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{,}`, `{1:2}`, `{"a" 1}`, `{"a"::1}`, `[1,]`, `[,1]`,
		`[1 2]`, `[1`, `[`, `]`, `}`, `{]`, `[}`, `[1}`, `{"a":1]`, `{} {}`, `[] ,`, `tru`, `nul`, `+`, `x`, `'a'`, `"a`,
		`"a\`, `"a\"`, "\"a\nb\"", `[1e]`, `[-]`, `[1.]`, `[1.-0E1]`, `[7.51.8]`, `[1.7nanE-1]`, `[--1]`, `[NaNN]`, `[1e5e5]`, `[Inf]`, `{"a":}`, `{"a":1 "b":2}`, strings.Repeat("[", 33),
	} {
		if got, err := trace(newJSONReader([]byte(text), newMeter(DefaultLimits(), 0))); err == nil {
			t.Errorf("%q is accepted as %s", text, got)
		}
	}
}

func TestUBJSONEvents(t *testing.T) {
	long := "L\x00\x00\x00\x00\x00\x00\x00"
	for _, tt := range []struct{ text, want string }{
		{"{}", "{ }"},
		{"{" + long + "\x01a[#" + long + "\x02i\xffU\xff" + "}", `{ "a" [ -1 255 ] }`},
		{"{i\x01aZi\x01bTi\x01cF}", `{ "a" null "b" true "c" false }`},
		{"{U\x01aSi\x03\xc3\xa4!}", `{ "a" "ä!" }`},
		{"[i\x01[]{}]", "[ 1 [ ] { } ]"},
		{"[$d#i\x02\x3f\x80\x00\x00\xc0\x00\x00\x00", "[ 1 -2 ]"},
		{"[$D#i\x01\x3f\xe0\x00\x00\x00\x00\x00\x00", "[ 0.5 ]"},
		{"[$I#i\x01\xff\xfe", "[ -2 ]"},
		{"[$l#i\x01\xff\xff\xff\xfd", "[ -3 ]"},
		{"[$L#i\x01\xff\xff\xff\xff\xff\xff\xff\xfc", "[ -4 ]"},
		{"[$i#i\x00", "[ ]"},
		{"[$C#i\x02ab", "[ 97 98 ]"},
	} {
		got, err := trace(newUBJSONReader([]byte(tt.text), newMeter(DefaultLimits(), 0)))
		if err != nil || got != tt.want {
			t.Errorf("%q\n got %s, %v\nwant %s", tt.text, got, err, tt.want)
		}
		for cut := range len(tt.text) {
			if got, err := trace(newUBJSONReader([]byte(tt.text[:cut]), newMeter(DefaultLimits(), 0))); err == nil {
				t.Errorf("%q is accepted as %s", tt.text[:cut], got)
			}
		}
	}
}

func TestUBJSONRefuses(t *testing.T) {
	for _, text := range []string{
		"", "{}x", "{}{}", "x", "H", "N", "[N", "{d\x00\x00\x00\x00", "{i\xff", "[#d", "[#i\xff", "[$Z#i\x01", "[$T#i\x01",
		"[$[#i\x01", "[$i]", "[$ii\x01", "[#i\x05i\x01", "[$d#i\x01\x00", "S", "SL\x7f\xff\xff\xff\xff\xff\xff\xff",
		strings.Repeat("[", 33), "{i\x01a" + strings.Repeat("{i\x01a", 33),
	} {
		if got, err := trace(newUBJSONReader([]byte(text), newMeter(DefaultLimits(), 0))); err == nil {
			t.Errorf("%q is accepted as %s", text, got)
		}
	}
}

// TestMeter counts to the last byte and gives back.
func TestMeter(t *testing.T) {
	m := newMeter(DefaultLimits(), 100)
	all := m.memory
	if err := m.take(all/8, 8); err != nil {
		t.Fatal(err)
	}
	if err := m.take(2, 4); err == nil {
		t.Error("more than there is")
	}
	m.giveBack(all/8, 8)
	for _, count := range []int{-1, math.MaxInt, math.MaxInt / 7} {
		if err := m.take(count, 8); err == nil {
			t.Errorf("%d values fit", count)
		}
	}
	if values, err := grow(m, make([]int32, 300)); err != nil || cap(values) != 600 || len(values) != 300 {
		t.Errorf("grown to %d of %d: %v", len(values), cap(values), err)
	}
}
