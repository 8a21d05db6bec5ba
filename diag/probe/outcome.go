package probe

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"mqttdoctor/diag"
	"mqttdoctor/diag/errno"
)

// outcomeOf classes an error that ended the wait for a peer's answer before a byte of it came.
func outcomeOf(err error) diag.Outcome {
	var timeout net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return diag.OutcomeCanceled
	case errno.Is(err, syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNABORTED):
		return diag.OutcomeReset
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded),
		errors.As(err, &timeout) && timeout.Timeout():
		return diag.OutcomeSilent
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return diag.OutcomeClosed
	}
	return diag.OutcomeClosed
}
