package forest

import (
	"bytes"
	"crypto/sha256"
	"errors"
)

// Names of the formats, as Source.Format has them.
const (
	FormatLightGBM  = "lightgbm-text"
	FormatXGBoost   = "xgboost-json"
	FormatXGBoostUB = "xgboost-ubjson"
)

// Read reads and validates a model. Name is only used in errors and in Source. The format is detected by content.
//
// Whatever the bytes are, Read ends in a validated forest or an *Error; it keeps no reference to file.
func Read(name string, file []byte, limits Limits) (*Forest, error) {
	limits = limits.withDefaults()
	f, err := readFile(file, limits)
	if err != nil {
		if e := (*Error)(nil); errors.As(err, &e) {
			e.File = name
		}
		return nil, err
	}
	f.Source.Name = name
	f.Source.SHA256 = sha256.Sum256(file)
	f.Source.Bytes = len(file)
	return f, nil
}

func readFile(file []byte, limits Limits) (*Forest, error) {
	if len(file) > limits.FileBytes {
		return nil, fault(KindLimits, "file has %d bytes, the limit is %d", len(file), limits.FileBytes)
	}
	m := newMeter(limits, len(file))
	var f *Forest
	var err error
	switch format := detectFormat(file); format {
	case FormatLightGBM:
		f, err = readLightGBM(file, m)
	case FormatXGBoost:
		f, err = readXGBoost(newJSONReader(file, m), m)
	case FormatXGBoostUB:
		f, err = readXGBoost(newUBJSONReader(file, m), m)
	default:
		return nil, foreignFormat(file)
	}
	if err != nil {
		return nil, err
	}
	if err := f.Validate(limits); err != nil {
		return nil, err
	}
	return f, m.step(1 << 30)
}

// detectFormat returns the name of a format that is read here, or "".
func detectFormat(file []byte) string {
	switch {
	case bytes.HasPrefix(file, []byte("tree\n")), bytes.HasPrefix(file, []byte("tree\r\n")):
		return FormatLightGBM
	case bytes.HasPrefix(file, []byte("{L")):
		return FormatXGBoostUB
	case startsJSONObject(file):
		return FormatXGBoost
	}
	return ""
}

// startsJSONObject reports whether file starts like an object whose first key follows at once or after white space.
func startsJSONObject(file []byte) bool {
	rest := bytes.TrimLeft(file, " \t\r\n")
	if len(rest) == 0 || rest[0] != '{' {
		return false
	}
	rest = bytes.TrimLeft(rest[1:], " \t\r\n")
	return len(rest) == 0 || rest[0] == '"' || rest[0] == '}'
}
