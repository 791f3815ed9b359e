package wire

import (
	"mime"
	"mime/multipart"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/retainwise/millrace/serve/internal/fault"
	"golang.org/x/text/unicode/norm"
)

const FilenameBytesMax = 255

// FileName checks the name of an uploaded file, which must be CSV by its own account, and gives it as it is kept and
// shown.
func FileName(given string) (string, error) {
	lower := strings.ToLower(given)
	isFormat := func(format string) bool { return strings.HasSuffix(lower, "."+format) }
	if !slices.ContainsFunc(fault.AllowedFormats(), isFormat) {
		return "", fault.Fail(fault.CodeInvalidFile, "").
			With(fault.Details{"field": "filename", "filename": fault.Shown(given), "allowed_formats": fault.AllowedFormats()})
	}
	name := composed(given)
	if suggestion := sanitized(name); suggestion != name {
		return "", fault.Fail(fault.CodeInvalidFile, "Filename contains invalid characters").
			With(fault.Details{"field": "filename", "filename": fault.Shown(given), "suggestion": fault.Shown(suggestion)})
	}
	return shortened(name), nil
}

// FilenameOf makes any file name one that [fileName] could have given, whatever it ends in.
func FilenameOf(given string) string { return shortened(sanitized(composed(given))) }

// composed writes a name in NFC and with plain spaces, so that it has one spelling whatever system it comes from.
func composed(name string) string {
	return strings.Map(func(c rune) rune {
		if unicode.Is(unicode.Zs, c) {
			return ' '
		}
		return c
	}, norm.NFC.String(name))
}

// sanitized takes the folders off a name and puts an underscore in place of every character that a name may not have.
func sanitized(name string) string {
	if name = path.Base(strings.ReplaceAll(name, `\`, "/")); name == "." || name == "/" {
		return "file"
	}
	return strings.Map(func(c rune) rune {
		if unicode.In(c, unicode.L, unicode.M, unicode.N) || strings.ContainsRune(" -_.", c) {
			return c
		}
		return '_'
	}, name)
}

// shortened keeps the end of a name that is too long.
func shortened(name string) string {
	for len(name) > FilenameBytesMax {
		_, size := utf8.DecodeRuneInString(name)
		name = name[size:]
	}
	return name
}

// RawFileName is the file's name as the form has it. [multipart.Part.FileName] leaves its folders out.
func RawFileName(part *multipart.Part) string {
	_, params, err := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
	if err != nil {
		return part.FileName()
	}
	return params["filename"]
}
