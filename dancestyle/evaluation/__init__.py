"""From models to numbers and pictures: views, fusion, metrics, figures and the report."""
