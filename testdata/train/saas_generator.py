"""Makes SaaS customers whose churn follows a known mechanism, so that a model can be judged against the truth.

Each customer has a hidden health, drawn from a normal distribution, that moves the usage columns and the survey answer
together. The chance to churn within three months is a logistic function of what the columns show plus the part of
health that no column shows; `churn_logit` is the whole mechanism. Then values go missing as they do in practice:

- nps_score: nobody asked, or no answer; unhappy customers answer less often (so "no answer" carries a little risk)
- TotalCharges: nothing was billed yet in the first month, and sometimes the ledger is not at hand
- feature_usage_score, usage_change_percent: not measured in the first two months, and sometimes later
- seats_total, seats_used: flat-rate accounts have no seats
- industry, contract_months_left, integrations_enabled: gaps in the customer data, independent of everything
"""

import numpy as np
import pandas as pd

PLANS = np.array(["Starter", "Team", "Business", "Enterprise"])
PLAN_RATES = [0.38, 0.32, 0.21, 0.09]
PLAN_SEATS = np.array([4, 14, 45, 180])
PLAN_PRICE = np.array([15.0, 22.0, 32.0, 45.0])  # per seat and month
CONTRACTS = np.array(["Month-to-month", "Quarterly", "One year", "Two year"])
CONTRACT_MONTHS = np.array([1, 3, 12, 24])
CONTRACT_RATES = np.array(  # by plan
    [[0.70, 0.10, 0.17, 0.03], [0.48, 0.15, 0.31, 0.06], [0.25, 0.15, 0.46, 0.14], [0.05, 0.10, 0.55, 0.30]]
)
CONTRACT_LOGIT = np.array([0.8, 0.3, 0.0, -0.15])
INDUSTRIES = np.array(
    ["Education", "Finance", "Healthcare", "Manufacturing", "Media", "Public sector", "Retail", "Technology"]
)
INDUSTRY_RATES = [0.10, 0.12, 0.11, 0.12, 0.09, 0.06, 0.17, 0.23]
INDUSTRY_LOGIT = np.array([0.0, -0.2, -0.15, -0.1, 0.35, -0.5, 0.3, 0.0])


def customers(count: int, seed: int) -> pd.DataFrame:
    """Returns text cells, with the columns churned (0 or 1) and churn_chance (the truth) last."""
    rng = np.random.default_rng(seed)
    values = observed(rng, count)
    chance = 1 / (1 + np.exp(-churn_logit(values)))
    churned = rng.random(count) < chance
    cells = as_text(hide(rng, values), count)
    cells["churned"] = churned.astype(int).astype(str)
    cells["churn_chance"] = [f"{c:.6f}" for c in chance]
    return cells


def observed(rng: np.random.Generator, count: int) -> dict[str, np.ndarray]:
    """All columns without gaps, and the hidden health."""
    health = rng.standard_normal(count)
    plan = rng.choice(len(PLANS), count, p=PLAN_RATES)
    contract = np.array([rng.choice(len(CONTRACTS), p=CONTRACT_RATES[p]) for p in plan])
    seats_total = np.maximum(1, np.round(PLAN_SEATS[plan] * rng.lognormal(0, 0.5, count)))
    used_share = 1 / (1 + np.exp(-(0.9 + 0.8 * health + 0.7 * rng.standard_normal(count))))
    discount = rng.choice([1.0, 0.9, 0.8], count, p=[0.7, 0.2, 0.1])
    usage = np.clip(50 + 17 * health + 12 * rng.standard_normal(count), 0, 100)
    tenure = np.floor(np.minimum(rng.gamma(1.4, 16, count), 120))
    monthly = np.round(seats_total * PLAN_PRICE[plan] * discount, 2)
    # Healthy accounts have grown: their months so far cost less than the latest one.
    past = np.exp(-0.06 * health * np.sqrt(tenure / 12) + 0.05 * rng.standard_normal(count))
    return {
        "health": health,
        "tenure": tenure,
        "MonthlyCharges": monthly,
        "TotalCharges": np.round(monthly * past * tenure, 2),
        "Contract": contract,
        "seats_used": np.round(seats_total * used_share),
        "feature_usage_score": np.round(usage, 1),
        "last_activity_days_ago": np.minimum(np.floor(rng.exponential(3 * np.exp(-0.7 * health))), 180),
        "support_tickets": rng.poisson(np.exp(0.2 - 0.15 * health + 0.3 * plan)),
        "plan": plan,
        "industry": rng.choice(len(INDUSTRIES), count, p=INDUSTRY_RATES),
        "contract_months_left": np.floor(rng.random(count) * CONTRACT_MONTHS[contract]),
        "seats_total": seats_total,
        "usage_change_percent": np.round(np.maximum(9 * health + 16 * rng.standard_normal(count), -95), 1),
        "integrations_enabled": rng.poisson(np.exp(0.7 + 0.3 * health + 0.25 * plan)),
        "nps_score": np.clip(np.round(7.2 + 1.4 * health + 1.5 * rng.standard_normal(count)), 0, 10),
        "payment_failures": rng.poisson(np.where(contract == 0, 0.35, 0.12)),
    }


def churn_logit(v: dict[str, np.ndarray]) -> np.ndarray:
    """The mechanism. Seats in use and inactivity are read as people would: as a share, and in weeks with saturation."""
    used_share = v["seats_used"] / v["seats_total"]
    idle = np.log1p(v["last_activity_days_ago"] / 7)
    monthly = v["Contract"] == 0
    logit = -2.7 + np.array([0.35, 0.05, -0.25, -0.6])[v["plan"]] + INDUSTRY_LOGIT[v["industry"]]
    logit += CONTRACT_LOGIT[v["Contract"]]
    logit -= 0.05 * np.minimum(v["contract_months_left"], 9)
    logit -= 0.5 * (np.log1p(v["tenure"] / 12) - 0.9)
    logit -= 2.0 * (used_share - 0.7)
    logit -= 0.022 * (v["feature_usage_score"] - 50)
    logit -= 0.018 * np.clip(v["usage_change_percent"], -40, 40)
    logit += idle * np.where(monthly, 1.1, 0.7)
    logit -= 0.12 * np.minimum(v["integrations_enabled"], 5) - 0.25
    logit += 0.16 * np.maximum(v["support_tickets"] - 2, 0)
    logit -= 0.16 * (v["nps_score"] - 7)
    logit += 0.55 * np.minimum(v["payment_failures"], 3)
    return logit - 0.25 * v["health"]


def hide(rng: np.random.Generator, v: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Takes values away; returns float arrays with NaN, without the hidden health."""
    count = len(v["health"])
    new = v["tenure"] < 2
    no_seats = rng.random(count) < 0.06
    gone = {
        "TotalCharges": (v["tenure"] == 0) | (rng.random(count) < 0.02),
        "nps_score": rng.random(count) < 1 / (1 + np.exp(-(0.3 - 0.3 * v["health"]))),
        "feature_usage_score": new | (rng.random(count) < 0.04),
        "usage_change_percent": new | (rng.random(count) < 0.05),
        "seats_total": no_seats,
        "seats_used": no_seats | (rng.random(count) < 0.02),
        "industry": rng.random(count) < 0.08,
        "contract_months_left": rng.random(count) < 0.05,
        "integrations_enabled": rng.random(count) < 0.10,
    }
    shown = {name: values.astype(float) for name, values in v.items() if name != "health"}
    for name, missing in gone.items():
        shown[name] = np.where(missing, np.nan, shown[name])
    return shown


def as_text(values: dict[str, np.ndarray], count: int) -> pd.DataFrame:
    texts = {"Contract": CONTRACTS, "plan": PLANS, "industry": INDUSTRIES}
    cells = {"customerID": [f"C-{i:06d}" for i in range(1, count + 1)]}
    for name, column in values.items():
        cells[name] = [cell(v, texts.get(name)) for v in column]
    return pd.DataFrame(cells)


def cell(value: float, texts: np.ndarray | None) -> str:
    """Empty if missing; otherwise the category's text or the shortest decimal."""
    if np.isnan(value):
        return ""
    return str(texts[int(value)]) if texts is not None else f"{value:.2f}".rstrip("0").rstrip(".")
