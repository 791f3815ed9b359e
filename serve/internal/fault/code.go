package fault

import (
	"fmt"
	"strconv"
	"strings"
)

// Code is a published error number. Its text is "ERR-1001". A number never changes its meaning.
type Code int

// Files and their content.
const (
	CodeInvalidFile      Code = 1001
	CodeTooLarge         Code = 1002
	CodeInvalidFormat    Code = 1003
	CodeMissingColumns   Code = 1004
	CodeEmptyFile        Code = 1005
	CodeUnreadableHeader Code = 1006
	CodeNotText          Code = 1007
	CodeTooManyColumns   Code = 1008
	CodeBadQuoting       Code = 1009
	CodeRowTooLong       Code = 1010
	CodeUnpackedTooLarge Code = 1011
	CodeDamagedArchive   Code = 1012
	CodeShortBody        Code = 1013
	CodeObjectUnreadable Code = 1014
	CodeObjectChanged    Code = 1015
	CodeNumberStyle      Code = 1016
	CodeShiftedRows      Code = 1017
	CodeUselessColumn    Code = 1018
)

// Predictions.
const (
	CodePredictionNotFound Code = 1101
	CodePredictionFailed   Code = 1102
	CodePredictionTimeout  Code = 1103
	CodeCancelled          Code = 1104
	CodeNotFinished        Code = 1105
	CodeWrongState         Code = 1106
	CodeErrorBudgetSpent   Code = 1107
	CodeResultExpired      Code = 1108
	CodeScoredAgain        Code = 1109
	CodeGone               Code = 1110
	CodeFewScored          Code = 1111
	CodeEndedWorker        Code = 1112
)

// Identity.
const (
	CodeInvalidToken       Code = 1201
	CodeExpiredToken       Code = 1202
	CodeMissingToken       Code = 1203
	CodeNotAllowed         Code = 1204
	CodeSigningKeysMissing Code = 1205
	CodeAccessKeyNotFound  Code = 1206
)

// Requests.
const (
	CodeMissingField         Code = 1301
	CodeInvalidValue         Code = 1302
	CodeOutOfRange           Code = 1303
	CodeUnparseableBody      Code = 1304
	CodeUnknownParameter     Code = 1305
	CodeInvalidCursor        Code = 1306
	CodeNoSuchRoute          Code = 1307
	CodeWrongMethod          Code = 1308
	CodeNotAcceptable        Code = 1309
	CodeUnsupportedMediaType Code = 1310
	CodeRangeNotSatisfiable  Code = 1311
	CodeKeyOtherRequest      Code = 1312
	CodeKeyStillRunning      Code = 1313
	CodeMalformedRequest     Code = 1314
	CodeNoDirectUploads      Code = 1318
)

// Rates and load.
const (
	CodeRateLimited    Code = 1401
	CodeRowQuotaSpent  Code = 1402
	CodeTooManyWaiting Code = 1403
	CodeBusy           Code = 1404
	CodeShuttingDown   Code = 1405
	CodeSlowBody       Code = 1406
	CodeTooManyToScore Code = 1407
)

// Faults of the service.
const (
	CodeInternal         Code = 1500
	CodeDatabase         Code = 1501
	CodeObjectStore      Code = 1502
	CodeQueue            Code = 1503
	CodeAccountingBroken Code = 1504
	CodeStorageFull      Code = 1505
	CodeObjectRefused    Code = 1506
)

// Models.
const (
	CodeUnknownModel      Code = 1701
	CodeModelWithdrawn    Code = 1702
	CodeModelUnsupported  Code = 1703
	CodeModelColumns      Code = 1704
	CodeModelSelfCheck    Code = 1705
	CodeModelChecksum     Code = 1706
	CodeModelNotChosen    Code = 1707
	CodeModelBeyondLimits Code = 1708
	CodeBundleUnusable    Code = 1709
	CodeModelVersionTaken Code = 1710
	CodeModelRetired      Code = 1711
	CodeModelUnavailable  Code = 1712
	CodeModelNamed        Code = 1713
)

// String returns the published form of the code, such as "ERR-1001".
func (c Code) String() string { return fmt.Sprintf("ERR-%04d", int(c)) }

// Status is the HTTP status of an answer with this code. It is 0 for codes that are never an answer by themselves: of
// rows, of warnings, and of models at load.
func (c Code) Status() int { return c.Meaning().Status }

// Retryable reports whether the same request may succeed later.
func (c Code) Retryable() bool { return c.Meaning().Retryable }

// Message is the code's default sentence for a customer.
func (c Code) Message() string { return c.Meaning().Message }

// Meaning returns the code's entry in [Meanings], or an internal error for a code that is not published.
func (c Code) Meaning() Meaning {
	for i := range Meanings {
		if Meanings[i].Code == c {
			return Meanings[i]
		}
	}
	return Meaning{Code: CodeInternal, Status: 500}
}

// ParseCode parses "ERR-1001" or "1001". ok is false for a code that is not published.
func ParseCode(text string) (code Code, ok bool) {
	digits := strings.TrimPrefix(strings.ToUpper(text), "ERR-")
	n, err := strconv.Atoi(digits)
	if err != nil || len(digits) != 4 {
		return 0, false
	}
	c := Code(n)
	return c, c.Meaning().Code == c
}

// Meaning is the entry of a code in [Meanings]: its HTTP status, whether to retry, its title, its sentence, and the advice
// to a customer.
type Meaning struct {
	Code      Code
	Status    int
	Retryable bool
	title     string
	Message   string
	advice    string
}
