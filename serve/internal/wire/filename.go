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

// CheckFilename checks the name of an uploaded file, which must be CSV by its own account, and gives it as it is kept and
// shown.
func CheckFilename(given string) (string, error) {
	lower := strings.ToLower(given)
	isFormat := func(format string) bool { return strings.HasSuffix(lower, "."+format) }
	if !slices.ContainsFunc(fault.AllowedFormats(), isFormat) {
		return "", fault.Fail(fault.CodeInvalidFile, "").
			With(fault.Details{"field": "filename", "filename": fault.Sanitize(given), "allowed_formats": fault.AllowedFormats()})
	}
	name := normalized(given)
	if suggestion := sanitized(name); suggestion != name {
		return "", fault.Fail(fault.CodeInvalidFile, "Filename contains invalid characters").
			With(fault.Details{"field": "filename", "filename": fault.Sanitize(given), "suggestion": fault.Sanitize(suggestion)})
	}
	return shortened(name), nil
}

// CleanFilename makes any file name one that [fileName] could have given, whatever it ends in.
func CleanFilename(given string) string { return shortened(sanitized(normalized(given))) }

// normalized writes a name in NFC and with plain spaces, so that it has one spelling whatever system it comes from.
func normalized(name string) string {
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

// FormFilename is the file's name as the form has it. [multipart.Part.FileName] leaves its folders out.
func FormFilename(part *multipart.Part) string {
	_, params, err := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
	if err != nil {
		return part.FileName()
	}
	return params["filename"]
}
