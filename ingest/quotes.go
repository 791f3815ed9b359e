package ingest

import "bytes"

// Strict quoting: a quote opens a field only at its start, and behind the closing one comes a separator or a line end.
// The masks of the index see that a rule is broken; this state machine then says where. It is the slow, plain twin.

// separators is the set of bytes that end a field.
type separators [256]bool

func oneSeparator(delimiter byte) *separators {
	var set separators
	set[delimiter], set['\n'] = true, true
	return &set
}

// anySeparator is for text whose delimiter is not known.
func anySeparator() *separators {
	set := oneSeparator('\n')
	for _, b := range []byte(delimiters) {
		set[b] = true
	}
	return set
}

// badQuote is where quoting breaks: at is the quote in question, open the one that opened its field.
type badQuote struct {
	at, open int
	ended    bool // the text ended inside quotes
}

// locate turns a place in text whose first byte is on a line into an error.
func (b badQuote) locate(text []byte, line int64) *QuoteError {
	opened := line + int64(bytes.Count(text[:b.open], []byte{'\n'}))
	across := bytes.IndexByte(text[b.open:b.at], '\n') >= 0
	return &QuoteError{Line: opened, Unclosed: b.ended || across}
}

// firstBadQuote reads text from a row start to the end of the input and finds the first violation.
func firstBadQuote(text []byte, ends *separators) (badQuote, bool) {
	const (
		fieldStart = iota
		plain
		quoted
		closed
	)
	state, open := fieldStart, 0
	for at, b := range text {
		switch {
		case state == quoted:
			if b == '"' {
				state = closed
			}
		case ends[b]:
			state = fieldStart
		case b == '"' && state == fieldStart:
			state, open = quoted, at
		case b == '"' && state == closed:
			state = quoted
		case b == '"':
			return badQuote{at: at, open: at}, true
		case state == closed:
			if b != '\r' || at+1 < len(text) && text[at+1] != '\n' {
				return badQuote{at: at - 1, open: open}, true
			}
		default:
			state = plain
		}
	}
	return badQuote{at: len(text), open: open, ended: true}, state == quoted
}
