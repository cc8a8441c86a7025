"""The same payout list as a user of dlt would load it: pandas reads the workbook, dlt makes a table of it, without any check.

Run by an interpreter of its own, in an environment that `line_lists` makes: ``python dlt_peer.py FILE URL FOLDER``. Prints
the seconds from the file to the rows in PostgreSQL, imports not counted.
"""

import os
import sys
import time


def main(file: str, url: str, folder: str) -> None:
    os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "DLT_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"}
    import dlt
    import openpyxl  # noqa: F401  what pandas reads with; imported here so that its import isn't measured
    import pandas

    began = time.perf_counter()
    frame = pandas.read_excel(file, header=2, dtype={"身份证号": str, "一卡通账号后四位": str}, engine="openpyxl")
    pipeline = dlt.pipeline("payouts", pipelines_dir=folder, destination=dlt.destinations.postgres(url), dataset_name="payouts")
    pipeline.run(frame, table_name="payouts", write_disposition="replace")
    print(time.perf_counter() - began)


if __name__ == "__main__":
    main(*sys.argv[1:])
