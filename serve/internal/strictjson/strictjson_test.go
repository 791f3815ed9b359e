package strictjson_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/retainwise/millrace/serve/internal/strictjson"
)

func TestCheck(t *testing.T) {
	for text, want := range map[string]error{
		`{}`:                               nil,
		` {"a":[1,"x",{"a":null}],"b":1} `: nil,
		`"\ud83d\ude00 \\ud800 \\\\ \" é"`: nil,
		`1e999`:                            nil,
		`{"sub":"a","SUB":"b","ſub":"c"}`:  nil, // three names
		``:                                 strictjson.ErrJSON,
		`{`:                                strictjson.ErrJSON,
		`{}{}`:                             strictjson.ErrJSON,
		`{} x`:                             strictjson.ErrJSON,
		`1 2`:                              strictjson.ErrJSON,
		`{"a":1,"a":2}`:                    strictjson.ErrTwice,
		`{"a":1,"\u0061":2}`:               strictjson.ErrTwice,
		`[{"x":{"a":1,"a":2}}]`:            strictjson.ErrTwice,
		`"\ud800"`:                         strictjson.ErrUnicode,
		`"\udfff"`:                         strictjson.ErrUnicode,
		`"\ud800\ud800"`:                   strictjson.ErrUnicode,
		`"\ud800x"`:                        strictjson.ErrUnicode,
		`"\\\ud800"`:                       strictjson.ErrUnicode,
		`{"\udc00":1}`:                     strictjson.ErrUnicode,
		"\"\xff\"":                         strictjson.ErrUnicode,
		"\"\xed\xa0\x80\"":                 strictjson.ErrUnicode,
	} {
		if err := strictjson.Check([]byte(text)); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", text, err, want)
		}
	}
}

func TestDecode(t *testing.T) {
	for text, want := range map[string]string{
		`{"sub":"a","SUB":"b","ſub":"c","Sub":"d"}`: "a",
		`{"SUB":"b","ſub":"c"}`:                     "", // U+017F is s without case
		`{"\u0073ub":"a"}`:                          "a",
	} {
		var sub string
		if err := strictjson.Decode([]byte(text), map[string]any{"sub": &sub}, false); err != nil || sub != want {
			t.Errorf("%s: %q, %v", text, sub, err)
		}
		if err := strictjson.Decode([]byte(text), map[string]any{"sub": &sub}, true); (err != nil) != strings.Contains(strings.ToLower(text), "ſ") {
			t.Errorf("%s, others refused: %v", text, err)
		}
	}
	for _, text := range []string{`null`, `"x"`, `[]`, `{"sub":1}`, `{"sub":"a"}{}`} {
		var sub string
		if strictjson.Decode([]byte(text), map[string]any{"sub": &sub}, false) == nil {
			t.Errorf("%s was decoded", text)
		}
	}
}

// TestDecode_NamesAreExact makes spellings that encoding/json takes for a name, and wants each to be another member.
func TestDecode_NamesAreExact(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	folds := map[rune][]rune{'s': {'S', 'ſ'}, 'k': {'K', '\u212a'}}
	folded := 0
	for range 5000 {
		name := []string{"sub", "iss", "aud", "exp", "kid", "scopes", "training_rate"}[random.IntN(7)]
		spelt := []rune(name)
		for i, c := range spelt {
			choices := append([]rune{c, c}, []rune(strings.ToUpper(string(c)))[0])
			choices = append(choices, folds[c]...)
			spelt[i] = choices[random.IntN(len(choices))]
		}
		if string(spelt) == name {
			continue
		}
		text := fmt.Sprintf(`{%q:"evil",%q:"good"}`, string(spelt), name)
		var got string
		if err := strictjson.Decode([]byte(text), map[string]any{name: &got}, false); err != nil || got != "good" {
			t.Fatalf("%s: %q, %v", text, got, err)
		}
		alone := fmt.Sprintf(`{%q:"evil"}`, string(spelt))
		got = ""
		if err := strictjson.Decode([]byte(alone), map[string]any{name: &got}, false); err != nil || got != "" {
			t.Fatalf("%s: %q, %v", alone, got, err)
		}
		var loose struct {
			Sub string `json:"sub"`
		}
		if name == "sub" && json.Unmarshal([]byte(alone), &loose) == nil && loose.Sub == "evil" {
			folded++
		}
	}
	if folded == 0 {
		t.Error("encoding/json folds no name: this package is not needed any more")
	}
}

// FuzzCheck: what passes is JSON, and no text in it has become U+FFFD without being it.
func FuzzCheck(f *testing.F) {
	for _, text := range []string{`{"a":"\ud83d\ude00"}`, `"\ud800"`, `{"a":1,"a":2}`, `"\\ud800"`, "\"\xff\"", `[1e9,{}]`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if strictjson.Check(text) != nil {
			return
		}
		var v any
		d := json.NewDecoder(strings.NewReader(string(text)))
		d.UseNumber()
		if err := d.Decode(&v); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if strings.ContainsRune(fmt.Sprint(v), utf8.RuneError) &&
			!strings.ContainsRune(string(text), utf8.RuneError) && !strings.Contains(strings.ToLower(string(text)), `\ufffd`) {
			t.Fatalf("%q decodes to %q", text, v)
		}
	})
}
