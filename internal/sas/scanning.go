package sas

// Scanning does not exist yet. Everything that would come from it is answered
// from this file, and only from here: a test lists the fields.

// findings is what scanning found in an image or a repository.
type findings struct {
	AlarmCount  int    `doc:"Alerts; 0 until scanning exists." example:"0"`
	AlarmStatus string `doc:"YES or NO." example:"NO"`
	RiskStatus  string `doc:"YES or NO." example:"NO"`
	VulCount    int    `doc:"Vulnerabilities; 0 until scanning exists." example:"0"`
	VulStatus   string `doc:"YES or NO." example:"NO"`
}

// risk is findings with those of the baseline.
type risk struct {
	findings
	HcCount  int    `doc:"Baseline risks; 0 until scanning exists." example:"0"`
	HcStatus string `doc:"YES or NO." example:"NO"`
}

// analysis is how far the scan of an image is.
type analysis struct {
	Deployed     int    `doc:"1 if the image is known to run; 0 until that is looked at." example:"0"`
	LastScanTime int64  `doc:"The end of the last scan in milliseconds, 0 for none." example:"0"`
	ScaProgress  int    `doc:"The progress of the scan in percent." example:"0"`
	ScaResult    string `doc:"The result of the last scan task." example:"TASK_NOT_EXISTS"`
	ScaStatus    string `doc:"The step of the scan." example:"INIT"`
}

const (
	no          = "NO"
	noScanTask  = "TASK_NOT_EXISTS"
	scanNotDone = "INIT"
	riskyImages = 0
)

func noFindings() findings { return findings{AlarmStatus: no, RiskStatus: no, VulStatus: no} }

func noRisk() risk { return risk{findings: noFindings(), HcStatus: no} }

func noAnalysis() analysis {
	return analysis{ScaResult: noScanTask, ScaStatus: scanNotDone}
}

// riskNames are the criteria that compare what scanning found: all are NO.
func riskNames() []string { return []string{"vulStatus", "alarmStatus", "hcStatus", "riskStatus"} }

// scannedOnly reports whether the parameter Scanned asks for images that were
// scanned: none has been.
func scannedOnly(scanned *bool) bool { return scanned != nil && *scanned }
