package engine

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// opposingMax is the number of factors named against the sentence's own direction.
const opposingMax = 2

// sentenceBytesMax bounds the fixed words of a sentence after the risk, without its phrases.
const sentenceBytesMax = 128

// span is the position of a phrase in Narrator.text.
type span struct{ first, end int }

// AppendExplanation appends one sentence: the risk, the factors that drive it and those that oppose it.
//
//	High risk (82 %): month-to-month contract and short tenure (2 months, typical 29) raise the risk; it is lowered
//	by tech support.
//
// A row above expectation begins with what raises the risk, any other with what lowers it. Equal phrases appear once.
// The wording never depends on whether a phrase is singular or plural.
func (t *Narrator) AppendExplanation(dst []byte) []byte {
	dst = t.appendRisk(dst)
	t.text, t.phrases = t.text[:0], t.phrases[:0]
	main, other := &t.risk, &t.protective
	verb, participle := " raise", "raised"
	otherVerb, otherParticiple := " lower", "lowered"
	if !t.aboveExpected {
		main, other = other, main
		verb, otherVerb, participle, otherParticiple = otherVerb, verb, otherParticiple, participle
	}
	t.collect(main, factorsMax)
	first := len(t.phrases)
	t.collect(other, opposingMax)
	dst = reserve(dst, len(t.text)+sentenceBytesMax)
	phrases, otherPhrases := t.phrases[:first], t.phrases[first:]
	if len(phrases) == 0 {
		phrases, otherPhrases, verb, participle = otherPhrases, nil, otherVerb, otherParticiple
	}
	if len(phrases) == 0 {
		return append(dst, ". No single strong driver."...)
	}
	dst = append(dst, ": "...)
	dst = t.appendSide(dst, phrases, "the risk", verb, participle)
	if len(otherPhrases) > 0 {
		dst = append(dst, "; "...)
		dst = t.appendSide(dst, otherPhrases, "it", otherVerb, otherParticiple)
	}
	return append(dst, '.')
}

// appendRisk appends "High risk (82 %)".
func (t *Narrator) appendRisk(dst []byte) []byte {
	band := t.row.Band
	first, size := utf8.DecodeRuneInString(band)
	if size > 0 {
		dst = utf8.AppendRune(dst, unicode.ToUpper(first))
		dst = append(dst, band[size:]...)
		if !strings.HasSuffix(band, "risk") {
			dst = append(dst, " risk"...)
		}
	} else {
		dst = append(dst, "Risk"...)
	}
	dst = append(dst, " ("...)
	percent := 100 * t.row.Probability
	switch {
	case percent < 1:
		dst = append(dst, "under 1"...)
	case percent > 99:
		dst = append(dst, "over 99"...)
	default:
		dst = strconv.AppendInt(dst, int64(math.Round(percent)), 10)
	}
	return append(dst, " %)"...)
}

// collect adds the phrases of up to most factors to the sentence, the strongest first, without those it already has.
func (t *Narrator) collect(l *factorList, most int) {
	for i := 0; i < l.n && most > 0; i++ {
		f := &l.all[i]
		first := len(t.text)
		column := &t.row.Rows.Columns[f.feature]
		t.text = reserve(t.text, t.book.phraseBytesMax)
		t.text = t.book.features[f.feature].appendPhrase(t.text, column, t.row.Row, f.contribution > 0)
		if t.hasPhrase(t.text[first:]) {
			t.text = t.text[:first]
			continue
		}
		t.phrases = append(t.phrases, span{first, len(t.text)})
		most--
	}
}

// hasPhrase reports whether the sentence already has a phrase with this text.
func (t *Narrator) hasPhrase(text []byte) bool {
	for _, p := range t.phrases {
		if bytes.Equal(t.text[p.first:p.end], text) {
			return true
		}
	}
	return false
}

// phrase returns a collected phrase. t.text has room for a copied block after the last one.
func (t *Narrator) phrase(s span) fixedText { return fixedText(t.text[s.first:s.end]) }

// appendSide appends "a, b and c raise the risk", or "the risk is raised by a".
func (t *Narrator) appendSide(dst []byte, phrases []span, object, verb, participle string) []byte {
	if len(phrases) == 1 {
		dst = append(append(append(dst, object...), " is "...), participle...)
		dst = append(dst, " by "...)
		return t.phrase(phrases[0]).append(dst)
	}
	for i, p := range phrases {
		switch {
		case i == len(phrases)-1:
			dst = append(dst, " and "...)
		case i > 0:
			dst = append(dst, ", "...)
		}
		dst = t.phrase(p).append(dst)
	}
	return append(append(append(dst, verb...), ' '), object...)
}
