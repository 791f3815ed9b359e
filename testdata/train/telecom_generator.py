"""Makes telecom customers that look like those of the Telco data set, from a simple conditional model.

Nothing is copied or resampled from that data: the numbers below are rounded rates, and each column is drawn given the
ones before it (contract, then tenure, internet, add-ons, charges). Good for samples and load; never for training.
"""

import numpy as np
import pandas as pd

LETTERS = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
CONTRACTS = ["Month-to-month", "One year", "Two year"]
CONTRACT_RATES = [0.55, 0.21, 0.24]
# By contract: the two parameters of a beta distribution stretched to 0..72 months.
TENURE = {"Month-to-month": (0.75, 2.2), "One year": (2.2, 1.6), "Two year": (3.6, 1.0)}
INTERNET = ["DSL", "Fiber optic", "No"]
INTERNET_RATES = {"Month-to-month": [0.32, 0.55, 0.13], "One year": [0.38, 0.37, 0.25], "Two year": [0.37, 0.26, 0.37]}
PAYMENTS = ["Bank transfer (automatic)", "Credit card (automatic)", "Electronic check", "Mailed check"]
PAYMENT_RATES = {
    "Month-to-month": [0.15, 0.14, 0.48, 0.23],
    "One year": [0.27, 0.27, 0.23, 0.23],
    "Two year": [0.33, 0.34, 0.10, 0.23],
}
PAPERLESS_RATE = {"DSL": 0.56, "Fiber optic": 0.77, "No": 0.29}
INTERNET_PRICE = {"DSL": 25.0, "Fiber optic": 50.0, "No": 0.0}
SUPPORT_ADD_ONS = ["OnlineSecurity", "OnlineBackup", "DeviceProtection", "TechSupport"]
STREAMING = ["StreamingTV", "StreamingMovies"]
MONTHS_MAX = 72
NEW_RATE = 0.002  # customers who have not been billed yet


def customers(count: int, seed: int) -> pd.DataFrame:
    """Returns text cells in the column order of the Telco file, without the label."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame([customer(rng, i) for i in range(1, count + 1)])


def customer(rng: np.random.Generator, number: int) -> dict[str, str]:
    contract = str(rng.choice(CONTRACTS, p=CONTRACT_RATES))
    tenure = 0 if rng.random() < NEW_RATE else max(1, round(rng.beta(*TENURE[contract]) * MONTHS_MAX))
    row = {"customerID": f"{number % 10_000:04d}-{''.join(rng.choice(LETTERS, 5))}"}
    row |= household(rng) | {"tenure": str(tenure)} | services(rng, contract, tenure / MONTHS_MAX)
    row["Contract"] = contract
    row["PaperlessBilling"] = yes_no(rng, PAPERLESS_RATE[row["InternetService"]])
    row["PaymentMethod"] = str(rng.choice(PAYMENTS, p=PAYMENT_RATES[contract]))
    return row | charges(rng, row, tenure)


def household(rng: np.random.Generator) -> dict[str, str]:
    senior = rng.random() < 0.16
    partner = rng.random() < 0.48
    dependents = rng.random() < (0.09 if senior or not partner else 0.57)
    return {
        "gender": str(rng.choice(["Female", "Male"])),
        "SeniorCitizen": str(int(senior)),
        "Partner": "Yes" if partner else "No",
        "Dependents": "Yes" if dependents else "No",
    }


def services(rng: np.random.Generator, contract: str, seniority: float) -> dict[str, str]:
    """Phone, internet and add-ons; seniority is tenure as a share of the longest."""
    internet = str(rng.choice(INTERNET, p=INTERNET_RATES[contract]))
    phone = internet != "DSL" or rng.random() < 0.72
    row = {"PhoneService": "Yes" if phone else "No"}
    row["MultipleLines"] = yes_no(rng, 0.2 + 0.5 * seniority) if phone else "No phone service"
    row["InternetService"] = internet
    add_on = 0.15 + 0.4 * seniority + (0.1 if internet == "DSL" else 0.0)
    streaming = 0.25 + 0.35 * seniority + (0.12 if internet == "Fiber optic" else 0.0)
    for names, rate in ((SUPPORT_ADD_ONS, add_on), (STREAMING, streaming)):
        row |= {n: "No internet service" if internet == "No" else yes_no(rng, rate) for n in names}
    return row


def charges(rng: np.random.Generator, row: dict[str, str], tenure: int) -> dict[str, str]:
    """Monthly charges are the sum of the services; total charges are blank for who has not been billed yet."""
    monthly = INTERNET_PRICE[row["InternetService"]] + 5 * sum(row[n] == "Yes" for n in SUPPORT_ADD_ONS)
    monthly += 10 * sum(row[n] == "Yes" for n in STREAMING) + 5 * (row["MultipleLines"] == "Yes")
    monthly += (20 if row["PhoneService"] == "Yes" else 0) + rng.uniform(-1.5, 1.5)
    billed = monthly if tenure == 1 else monthly * tenure * (1 + 0.03 * rng.standard_normal())
    return {"MonthlyCharges": money(monthly), "TotalCharges": money(billed) if tenure else ""}


def money(amount: float) -> str:
    """Rounded to 5 cents and without trailing zeros, as in the Telco file."""
    return f"{round(amount * 20) / 20:.2f}".rstrip("0").rstrip(".")


def yes_no(rng: np.random.Generator, rate: float) -> str:
    return "Yes" if rng.random() < rate else "No"
